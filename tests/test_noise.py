from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dilute.errors import NoiseError
from dilute.noise import (
    Asymmetric,
    Confusion,
    MatrixFile,
    Pair,
    Structured,
    Uniform,
    UniformOther,
    alpha_from_rate,
    checked_matrix,
    label_laws,
    majority_is_true,
    make_pattern,
    noise_rate,
    read_matrix,
    write_law,
    wrong_rate,
)

pytestmark = pytest.mark.numerical

CONFUSION = ((90.0, 7.0, 3.0), (1.0, 95.0, 4.0), (2.0, 8.0, 90.0))
PATTERNS = [
    Uniform(),
    UniformOther(),
    Pair(),
    Asymmetric(class_map={0: 1}),
    Structured(delta=1, order="random"),
    Structured(delta=0.5, class_order=(2, 0, 1)),
    Confusion(rows=CONFUSION),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.pattern)
def test_rows_are_distributions(pattern):
    matrix = pattern.matrix(3, 7.0)
    assert matrix.shape == (3, 3)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


def test_uniform():
    np.testing.assert_array_equal(Uniform().matrix(4, 1), np.full((4, 4), 0.25))


def test_uniform_other_never_gives_the_true_class():
    np.testing.assert_array_equal(
        UniformOther().matrix(3, 1), [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    )


def test_pair_is_the_next_class():
    np.testing.assert_array_equal(Pair().matrix(3, 1), [[0, 1, 0], [0, 0, 1], [1, 0, 0]])


def test_asymmetric_of_the_literature():
    matrix = Asymmetric(class_map="mnist").matrix(10, 1)
    assert matrix.argmax(axis=1).tolist() == [0, 1, 7, 8, 4, 6, 5, 1, 8, 9]
    matrix = Asymmetric(class_map="cifar10").matrix(10, 1)
    assert matrix.argmax(axis=1).tolist() == [0, 1, 0, 5, 7, 3, 6, 7, 8, 1]


@given(
    num_classes=st.integers(3, 20),
    delta=st.floats(0, 3),
    excess=st.floats(1, 20),
    order=st.sampled_from(["confusing", "reverse", "random"]),
)
def test_structured_ramp(num_classes: int, delta: float, excess: float, order: str):
    alpha = max(num_classes * delta * excess, 1.0)
    class_order = None if order == "random" else tuple(range(num_classes))
    pattern = Structured(delta=delta, order=order, class_order=class_order)
    matrix = pattern.matrix(num_classes, alpha)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(np.diag(matrix), 1 / num_classes)
    in_order = np.take_along_axis(matrix, pattern.ranking(num_classes), axis=1)
    steps = np.diff(in_order, axis=1)
    np.testing.assert_allclose(steps, steps[0, 0], atol=1e-12)
    np.testing.assert_allclose(in_order[:, 0] - 1 / num_classes, delta / alpha, atol=1e-12)


def test_at_delta_1_the_first_wrong_class_equals_the_right_one():
    alpha = 20.0
    matrix = Structured(delta=1, class_order=tuple(range(10))).matrix(10, alpha)
    laws = label_laws(alpha, matrix)
    np.testing.assert_allclose(laws[5, 0], laws[5, 5])
    assert not majority_is_true(laws).any()
    just_below = Structured(delta=0.99, class_order=tuple(range(10))).matrix(10, alpha)
    assert majority_is_true(label_laws(alpha, just_below)).all()


def test_orders():
    confusing = Structured(delta=0.1, order="confusing", confusion=CONFUSION)
    assert confusing.ranking(3).tolist() == [[1, 2], [2, 0], [1, 0]]
    reverse = Structured(delta=0.1, order="reverse", confusion=CONFUSION)
    assert reverse.ranking(3).tolist() == [[2, 1], [0, 2], [0, 1]]
    given_rows = Structured(delta=0.1, class_order=((1, 2), (2, 0), (1, 0)))
    assert given_rows.ranking(3).tolist() == confusing.ranking(3).tolist()
    random = [Structured(delta=0.1, order="random", order_seed=s).ranking(10) for s in (0, 0, 1)]
    np.testing.assert_array_equal(random[0], random[1])
    assert (random[0] != random[2]).any()


@pytest.mark.parametrize(
    ("pattern", "num_classes", "alpha", "says"),
    [
        (
            Structured(delta=1, order="random"),
            10,
            5,
            "needs alpha ≥ 10, not 5; raise alpha or take delta ≤ 0.5",
        ),
        (Structured(delta=0.1, order="random"), 2, 50, "at least 3 classes"),
        (Structured(delta=0.1), 10, 50, "needs a confusion matrix or a class order"),
        (Structured(delta=0.1, class_order=(0, 1)), 3, 50, "does not fit 3 classes"),
        (Structured(delta=0.1, confusion=CONFUSION), 4, 50, "3×3; with 4 classes it must be 4×4"),
        (
            Asymmetric(class_map={0: 9}),
            3,
            1,
            "0→9 is out of range; with 3 classes both must be 0 to 2",
        ),
        (Confusion(rows=((1, 0), (0, 0))), 2, 1, "row 1 is"),
        (Confusion(rows=((1, -1), (0, 1))), 2, 1, "entries must be ≥ 0"),
    ],
)
def test_impossible_patterns_state_the_bound(pattern, num_classes, alpha, says):
    with pytest.raises(NoiseError, match=r"^[^\n]*$") as caught:
        pattern.matrix(num_classes, alpha)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("unifrom", {}, "did you mean uniform"),
        ("uniform", {"delta": 1}, "delta has no meaning for uniform"),
        ("structured", {}, "structured noise needs delta"),
        ("structured", {"delta": -1}, "delta = -1"),
        ("asymmetric", {"class_map": "mnits"}, "did you mean mnist"),
        (
            "structured",
            {"delta": 0, "order_seed": 3},
            "order_seed has no meaning with order confusing",
        ),
        (
            "structured",
            {"delta": 0, "order": "random", "class_order": (0, 1)},
            "class_order has no meaning",
        ),
    ],
)
def test_make_pattern_refuses(name, options, says):
    with pytest.raises(NoiseError, match=r"^[^\n]*$") as caught:
        make_pattern(name, **options)
    assert says in str(caught.value)


def test_matrix_files(tmp_path: Path):
    (tmp_path / "m.csv").write_text("90,7,3\n1,95,4\n2,8,90\n")
    (tmp_path / "m.json").write_text(json.dumps(CONFUSION))
    np.save(tmp_path / "m.npy", np.array(CONFUSION))
    for name in ("m.csv", "m.json", "m.npy"):
        assert read_matrix(tmp_path / name) == MatrixFile(CONFUSION)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.csv", None, "does not exist"),
        ("m.txt", "1", "allowed are .csv, .json and .npy"),
        ("m.csv", "1,two", "cannot be read"),
        ("m.csv", "1,2\n3", "cannot be read"),
        ("m.csv", "1,2,3\n4,5,6", "must be square"),
        ("m.csv", "nan,0\n0,1", "finite"),
        ("m.json", "{", "cannot be read"),
        ("m.npy", "junk", "cannot be read"),
    ],
)
def test_bad_matrix_files(tmp_path: Path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(NoiseError, match=r"^[^\n]*$") as caught:
        read_matrix(path)
    assert says in str(caught.value)


def test_rates_of_the_literature():
    assert [noise_rate(alpha) for alpha in (0, 1, 4, 9)] == [0, 0.5, 0.8, 0.9]
    assert noise_rate(20) == pytest.approx(0.952, abs=5e-4)
    assert noise_rate(math.inf) == 1


@given(alpha=st.floats(0, 1e4))
def test_rates_and_alpha_are_inverse(alpha: float):
    assert alpha_from_rate(noise_rate(alpha)) == pytest.approx(alpha, rel=1e-9)
    matrix = Uniform().matrix(10, alpha)
    wrong = wrong_rate(alpha, matrix)
    assert wrong == pytest.approx(0.9 * noise_rate(alpha))


def test_wrong_rate_weighs_classes():
    matrix = Asymmetric(class_map={0: 1}).matrix(2, 1)
    assert wrong_rate(1, matrix, np.array([0.9, 0.1])) == pytest.approx(0.45)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_rates_out_of_range(rate: float):
    with pytest.raises(NoiseError, match="must be 0 to 1"):
        alpha_from_rate(rate)


def test_no_noise_is_the_identity_whatever_the_pattern():
    assert (checked_matrix(Structured(delta=0.5), 3, 0.0) == np.eye(3)).all()


def law_file(path: Path, law: np.ndarray, names: tuple[str, ...]) -> Path:
    """Write a law into a file as `dilute estimate` does, and return its path."""
    path.write_bytes(write_law(law, names))
    return path


class TestMatrixFilesSayWhatTheyAre:
    NAMES = ("ant", "bee", "cat")
    LAW = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])

    def test_a_law_comes_back(self, tmp_path: Path):
        found = read_matrix(law_file(tmp_path / "law.csv", self.LAW, self.NAMES))
        assert (found.kind, found.class_names) == ("law", self.NAMES)
        assert np.allclose(found.rows, self.LAW)

    def test_classes_are_matched_by_name(self, tmp_path: Path):
        turned = [2, 0, 1]
        names = tuple(self.NAMES[k] for k in turned)
        file = law_file(tmp_path / "law.csv", self.LAW[np.ix_(turned, turned)], names)
        pattern = Confusion(rows=read_matrix(file)).for_classes(self.NAMES)
        assert pattern == Confusion(rows=tuple(map(tuple, self.LAW.tolist())), is_law=True)
        with pytest.raises(NoiseError, match="it lacks dog and has besides cat"):
            Confusion(rows=read_matrix(file)).for_classes(("ant", "bee", "dog"))

    def test_of_a_law_the_part_beside_clean_labels_is_drawn(self, tmp_path: Path):
        pattern = Confusion(rows=read_matrix(law_file(tmp_path / "l.csv", self.LAW, self.NAMES)))
        for alpha in (2 / 3 + 1e-6, 2.0, math.inf):
            assert np.allclose(label_laws(alpha, pattern.matrix(3, alpha)), self.LAW, atol=1e-5)
        with pytest.raises(NoiseError, match=r"60.0% right labels leaves no room.*alpha ≥ 0.6667"):
            pattern.matrix(3, 0.5)

    def test_what_they_cannot_be(self, tmp_path: Path):
        faults = {
            "kind.csv": "matrix,ant,bee\nant,1,0\nbee,0,1\n",
            "names.csv": "law,ant,bee\nant,1,0\nwasp,0,1\n",
            "twice.csv": "law,ant,ant\nant,1,0\nant,0,1\n",
            "none.json": json.dumps({"alpha": 2}),
        }
        says = [
            "calls itself 'matrix'",
            "in the same order",
            "1 class names",
            "alpha and no matrix",
        ]
        for (name, text), said in zip(faults.items(), says, strict=True):
            (tmp_path / name).write_text(text)
            with pytest.raises(NoiseError, match=said):
                read_matrix(tmp_path / name)
