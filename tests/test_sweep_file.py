"""Sweep files that stand for more than they seem to, and are refused quickly."""

from __future__ import annotations

from pathlib import Path

import pytest

import dilute
from dilute.errors import SpecError

_MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [" + ", ".join([f"*a{i - 1}"] * 10) + "]}\n" for i in range(1, 9)
)
_LAUGHS = "base: {method_options: &a0 [1, 1]}\nlist:\n" + "".join(
    f"- &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]\n" for i in range(1, 9)
)
_KEYS = "base:\n" + "".join(f"  k{i}: 1\n" for i in range(20_000))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_MERGES, "it stands for more than"),
        (_LAUGHS, "it stands for more than"),
        (_KEYS, "it has more than 1,000 keys"),
        (f"? {'k' * 10**6}\n: 1", "unknown key 'kkk"),
        ("base: {a: 1, a: 2}", "'a' is given twice"),
        ("[" * 5000, "nested too deeply"),
        ("- " * 5000, "nested too deeply"),
        ("base: &a {noise: *a}", "it names itself"),
    ],
)
def test_files_that_unfold_are_refused(tmp_path: Path, text: str, says: str):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"^sweep file [^\n]{1,1000}$") as caught:
        dilute.read_sweep(path)
    assert says in str(caught.value)


def test_aliases_and_merges_of_a_usual_size_are_followed(tmp_path: Path):
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "- base: &all {data: digits, model: mlp1, alpha: 1}\n- base: {<<: *all, alpha: 2}\n"
    )
    assert [spec.alpha for spec in dilute.read_sweep(path)] == [1, 2]
