"""What cannot be, on the command line: each gets one clear line."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, assert_one_line
from own_data import write_idx, write_mnist_like, write_pictures


class TestBadInput:
    """Each gets one clear line and exit code 1, no traceback, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--alpha", "-3"], ["alpha = -3", "greater than or equal to 0"]),
            (["--alpha", "inf"], ["alpha = inf", "finite"]),
            (["--alpha", "nan"], ["alpha = nan", "finite"]),
            (["--alpha", "1e15"], ["GiB", "take alpha ≤"]),
            (["--alpha", "many"], ["received many", "valid number"]),
            (["--rate", "0.5"], ["give one"]),
            (["--copies", "²"], ["copies = '²'"]),
            (["--copies=--5"], ["copies = '--5'"]),
            (["--checkpoint-every", "0"], ["received 0", "greater than or equal to 1"]),
            (["--alpha", "1e308", "--noisy-images", "white_noise"], ["GiB"]),
            (["--model", "json:loads"], ["cannot be built"]),
            (["--model", ".x:f"], ["cannot be imported"]),
            (["--heldout", "digits", "--heldout-labels", "clean"], ["no effect beside --heldout"]),
            (["--order", "random"], ["order has no meaning for uniform"]),
            (["--seed", "-1"], ["received -1", "greater than or equal to 0"]),
            (["--noise", "unifrom"], ["did you mean uniform"]),
            (["--noise", "structured", "--delta", "1", "--order", "random"], ["needs alpha ≥ 10"]),
            (["--model", "conv44"], ["did you mean conv4"]),
            (["--method", "maee"], ["unknown method 'maee'", "did you mean mae"]),
            (["--copies", "some"], ["copies = 'some'", "'all' or 'expected'"]),
            (["--steps", "5", "--epochs", "1"], ["give exactly one"]),
            (["--num-clean", "5000"], ["take num_clean ≤"]),
            (["--noisy-images", "cifra10"], ["did you mean cifar10"]),
            (
                ["--noisy-images", "white_noise:0"],
                ["'white_noise:0'", "a whole number from 1 to 10^12"],
            ),
            (["--noisy-images", "white_noise:"], ["as in white_noise:20000"]),
            (["--noisy-images", "white_noise:many"], ["as in white_noise:20000"]),
            (["--noisy-images", "white_nois"], ["unknown data set 'white_nois'"]),
            (
                ["--optimizer", "sgd", "--epsilon", "1e-6"],
                ["epsilon = 1e-06 has no meaning for sgd"],
            ),
            (["--epsilon", "0"], ["epsilon = 0", "greater than 0"]),
            (["--optimizer", "adam"], ["optimizer = 'adam'", "adamw"]),
            (["--device", "quantum"], ["device 'quantum' cannot be used"]),
            (
                ["--realisation", "none.parquet"],
                ["--alpha has no effect beside --realisation none.parquet"],
            ),
            (["--no-such-option"], ["--no-such-option", "see dilute --help"]),
            (["--threads", "0"], ["received 0", "greater than or equal to 1"]),
        ],
    )
    def test_options_of_run(self, command, tmp_path: Path, arguments: list[str], says: list[str]):
        assert_one_line(command(*SMALL, *arguments, "--store", tmp_path / "runs"), *says)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("mnist6k", ["unknown data set 'mnist6k'", "did you mean mnist5k"]),
            ("folder:", ["folder:DIR"]),
            ("folder:~nobody-of-that-name/x", ["check the path"]),
            ("idx:" + "x" * 300, ["check the path"]),
            ("a\nb", ["control characters"]),
            ("folder:nowhere", ["nowhere"]),
            ("npz:nowhere.npz", ["nowhere.npz"]),
            ("parquet:nowhere.parquet", ["nowhere.parquet"]),
            ("idx:nowhere", ["nowhere"]),
        ],
    )
    def test_names_of_data(self, command, name: str, says: list[str]):
        assert_one_line(command("data", "info", name), *says)

    def test_features_into_a_convolutional_model(self, command, tmp_path: Path):
        np.savez(
            tmp_path / "f.npz", x=np.ones((40, 3)) * np.arange(40)[:, None], y=np.arange(40) % 2
        )
        result = command(
            "run", f"npz:{tmp_path / 'f.npz'}", "--model", "conv4", "--store", tmp_path / "runs"
        )
        assert_one_line(result, "model 'conv4' needs images", "take perceptron")

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda f: write_idx(f / "train-labels-idx1-ubyte.gz", np.arange(20) * 0), ["class"]),
            (lambda f: write_idx(f / "t10k-labels-idx1-ubyte.gz", np.arange(20) % 3), ["class"]),
            (lambda f: write_idx(
                f / "train-images-idx3-ubyte.gz", np.zeros((20, 8, 8)), magic=77),
             ["train-images"]),
            (lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(
                b"\x1f\x8b junk"), ["train-images"]),
            (lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(
                gzip.compress(struct.pack(">4I", 0x803, 20, 8, 8) + b"\0" * 100)),
             ["train-images"]),
            (lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(
                gzip.compress(
                    struct.pack(">4I", 0x803, 4_000_000_000, 4000, 4000) + b"\0" * 10**6)),
             ["train-images"]),
        ],
    )  # fmt: skip
    def test_idx(self, command, tmp_path: Path, spoil, says: list[str]):
        folder = tmp_path / "idx"
        write_mnist_like(folder)
        spoil(folder)
        assert_one_line(command("data", "info", f"idx:{folder}"), *says)

    def test_pictures(self, command, tmp_path: Path):
        name = f"folder:{tmp_path / 'p'}"
        (tmp_path / "p").mkdir()
        assert_one_line(command("data", "info", name))
        write_pictures(tmp_path / "p", classes=("ant",))
        assert_one_line(command("data", "info", name), "at least two")
        (tmp_path / "p" / "bee").mkdir()
        assert_one_line(command("data", "info", name), "bee")
        (tmp_path / "p" / "bee").rmdir()
        write_pictures(tmp_path / "p", sizes=(8, 9), classes=("cat",))
        assert_one_line(command("data", "info", name), "resize")
        (tmp_path / "p" / "cat" / "3.png").write_bytes(b"not a picture")
        assert_one_line(command("data", "info", name, "--resize", 8), "3.png")

    def test_features_that_are_no_numbers(self, command, tmp_path: Path):
        features = np.ones((40, 3))
        features[7, 1] = np.nan
        np.savez(tmp_path / "f.npz", x=features, y=np.arange(40) % 2)
        assert_one_line(command("data", "info", f"npz:{tmp_path / 'f.npz'}"), "NaN")

    def test_labels_out_of_range(self, command, tmp_path: Path):
        np.savez(tmp_path / "f.npz", x=np.ones((40, 3)), y=np.arange(40) % 2 - 1)
        assert_one_line(command("data", "info", f"npz:{tmp_path / 'f.npz'}"), "-1")

    def test_a_store_that_cannot_be_written(self, command, tmp_path: Path):
        (tmp_path / "file").write_text("")
        assert_one_line(command(*SMALL, "--store", tmp_path / "file" / "runs"), "cannot write")

    @pytest.mark.skipif(
        not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full"
    )
    def test_output_to_a_full_disk(self):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "dilute", "data", "list"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert done.returncode == 1
        assert done.stderr == "dilute: cannot read or write the output: No space left on device\n"

    def test_a_disk_that_fills_up_during_a_run(
        self, command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        assert_one_line(
            (lambda r: (r[0], r[1], r[2].splitlines()[-1] + "\n"))(
                command(*SMALL, "--store", tmp_path)
            ),
            "the disk is full",
        )
        assert list(tmp_path.iterdir()) == []
