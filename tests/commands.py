"""For tests of the command line: short commands, and the check that one failed in one line."""

from __future__ import annotations

QUICK = ["--steps", "5", "--batch-size", "16", "--curve-points", "1"]
TRAIN = ["run", "digits", "--model", "perceptron", *QUICK]
SMALL = [*TRAIN, "--alpha", "2"]


def assert_one_line(result: tuple[int, str, str], *says: str) -> None:
    code, out, err = result
    assert code == 1, (code, out, err)
    assert out == ""
    assert err.startswith("dilute: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    for text in says:
        assert text in err, err
