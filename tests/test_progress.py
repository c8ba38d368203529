"""What is said while training goes on."""

from __future__ import annotations

import pytest

from dilute.cli import progress
from dilute.training import Trained


@pytest.mark.parametrize(
    ("seconds_each", "says"),
    [
        (2.0, "the steps will take about 33 min, evaluations come on top"),
        (0.001, None),  # over before five seconds are
        (0.05, None),  # less than a minute is left
    ],
)
def test_how_long_it_will_take_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds_each: float,
    says: str | None,
):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.training_progress("cifar10 fastnet") as on_step:
        for step in range(1, 200):
            on_step(step, 1000, Trained())
            now += seconds_each
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("cifar10 fastnet: started, 1000 steps")
    assert len(lines) == 1 + (says is not None)
    if says is not None:
        assert says in lines[1]
