"""The command line: what it prints, where, and its exit codes."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import dilute
from dilute.cli import app, main
from dilute.runs import Store

QUICK = ["--steps", "5", "--batch-size", "16", "--curve-points", "1"]
TRAIN = ["run", "digits", "--model", "perceptron", *QUICK]
SMALL = [*TRAIN, "--alpha", "2"]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def assert_one_line(result: tuple[int, str, str], *says: str) -> None:
    code, out, err = result
    assert code == 1, (code, out, err)
    assert out == ""
    assert err.startswith("dilute: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    for text in says:
        assert text in err, err


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "run",
        "sweep",
        "compare",
        "reproduce",
        "gradients",
        "advise",
        "plan",
        "estimate",
        "labels",
        "data list",
        "data info",
        "data fetch",
    ],
)
def test_every_command_has_help_with_an_example(name: str, command):
    code, out, _ = command(*name.split(), "--help")
    assert code == 0
    assert f"Example: dilute {name}" in " ".join(out.split())


def test_every_command_is_in_the_test_above():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert names == {
        *("demo", "run", "sweep", "compare", "reproduce", "gradients", "advise", "plan"),
        *("estimate", "labels"),
    }


def test_version(command):
    assert command("--version") == (0, f"{dilute.__version__}\n", "")


def test_run_prints_a_summary_and_answers_from_the_store(command, tmp_path: Path):
    code, out, err = command(*SMALL, "--store", tmp_path)
    assert code == 0
    assert "test accuracy" in out
    assert "66.7% noise" in out
    assert "step 5/5" in err
    code, again, err = command(*SMALL, "--store", tmp_path)
    assert (code, again) == (0, out)
    assert "answered from the store" in err
    code, _, err = command(*SMALL, "--store", tmp_path, "--force")
    assert code == 0
    assert "answered from the store" not in err


def test_run_prints_one_json_document(command, tmp_path: Path):
    code, out, _ = command(*SMALL, "--store", tmp_path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["spec"]["copies"] == "all"
    assert record["accuracy"].keys() == {"last", "selected", "top5_last", "top5_selected"}
    stored = json.loads((tmp_path / f"{record['key']}.json").read_text())
    assert stored == record


def test_run_takes_every_kind_of_noise(command, tmp_path: Path):
    np.savetxt(tmp_path / "m.csv", np.eye(10) + 0.1, delimiter=",")
    kinds = [
        ["--noise", "uniform_other"],
        ["--noise", "pair"],
        ["--noise", "asymmetric", "--class-map", "mnist"],
        ["--noise", "asymmetric", "--class-map", "7:1,2:7"],
        ["--noise", "structured", "--order", "random", "--delta", "0.1"],
        ["--noise", "structured", "--class-order", "3,5,8,0,1,2,4,6,7,9", "--delta", "0.1"],
        [
            "--noise",
            "structured",
            "--confusion",
            tmp_path / "m.csv",
            "--delta",
            "0.1",
            "--order",
            "reverse",
        ],
        ["--noise", "confusion", "--confusion", tmp_path / "m.csv"],
        ["--noisy-images", "white_noise"],
        ["--noisy-images", "white_noise:30"],
        ["--epsilon", "1e-4"],
        ["--optimizer", "adadelta", "--epsilon", "1e-4"],
    ]
    keys = set()
    for kind in kinds:
        code, out, err = command(*SMALL, *kind, "--store", tmp_path / "runs", "--json")
        assert code == 0, err
        keys.add(json.loads(out)["key"])
    assert len(keys) == len(kinds)


def test_labels_and_a_run_on_them(command, tmp_path: Path):
    path = tmp_path / "labels.parquet"
    code, out, _ = command("labels", "digits", "--alpha", 2, "--out", path, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["num_noisy"] == 2 * document["num_clean"]
    code, out, _ = command(*TRAIN, "--labels", path, "--store", tmp_path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["labels_hash"] == record["spec"]["labels_hash"] == document["content_hash"]


@pytest.mark.parametrize("name", ["white_noise", "white_noise:9"])
def test_labels_on_white_noise_are_trained_on(command, tmp_path: Path, name: str):
    path = tmp_path / "labels.parquet"
    assert command("labels", "digits", "--alpha", 2, "--noisy-images", name, "--out", path)[0] == 0
    code, out, err = command(*TRAIN, "--labels", path, "--store", tmp_path, "--json")
    assert code == 0, err
    assert json.loads(out)["spec"]["noisy_images"] == name


def test_label_files_that_cannot_be_used(command, tmp_path: Path):
    import pandas as pd

    assert_one_line(
        command(*TRAIN, "--labels", tmp_path / "none.parquet"), "none.parquet does not exist"
    )
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    assert_one_line(
        command(*TRAIN, "--labels", tmp_path / "other.parquet"), "not written by dilute labels"
    )
    for alpha in ("nan", "inf", "-1"):
        arguments = [
            "labels",
            "digits",
            "--alpha",
            alpha,
            "--noisy-images",
            "white_noise",
            "--out",
            tmp_path / "l.parquet",
        ]
        assert_one_line(command(*arguments), "must be a finite number ≥ 0")


def test_selection_by_another_set(command, tmp_path: Path):
    code, out, err = command(*SMALL, "--heldout", "digits", "--store", tmp_path, "--json")
    assert code == 0, err
    assert json.loads(out)["selected_by"] == "heldout_clean_nll"


def test_without_arguments_there_is_help(command):
    for arguments in ([], ["data"]):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        assert "Usage" in out


def test_a_failed_run_exits_with_1(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken.py").write_text(
        "import torch\nclass M(torch.nn.Module):\n"
        "    def __init__(s, shape, k):\n        super().__init__(); s.w = torch.nn.Parameter(torch.ones(1))\n"
        "    def forward(s, x): return {}['key']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    code, out, _ = command(
        "run", "digits", "--model", "broken:M", *QUICK, "--store", tmp_path / "runs"
    )
    assert code == 1
    assert "failed after no steps: KeyError: 'key'" in out


def test_top5_is_shown_where_there_are_many_classes(command, tmp_path: Path):
    labels = np.arange(240) % 12
    np.savez(tmp_path / "f.npz", x=np.eye(12, dtype=np.float32)[labels], y=labels)
    data = f"npz:{tmp_path / 'f.npz'}"
    code, out, err = command("run", data, "--model", "mlp1", *QUICK, "--store", tmp_path / "runs")
    assert code == 0, err
    assert out.count("% (top 5: ") == 2


def test_labels_warns_where_the_class_is_lost(command, tmp_path: Path):
    _, _, err = command(
        "labels", "digits", "--alpha", 2, "--noise", "pair", "--out", tmp_path / "l.parquet"
    )
    assert (
        "for 10 of 10 classes (0, 1, 2, 3, 4, …) the true label is not the most frequent one" in err
    )


def test_data_commands(command, tmp_path: Path):
    code, out, _ = command("data", "list")
    assert code == 0
    assert "mnist5k" in out
    picture = tmp_path / "sheet.png"
    code, out, _ = command("data", "info", "digits", "--picture", picture)
    assert code == 0
    assert "10 classes" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, out, _ = command("data", "info", "digits", "--json")
    assert json.loads(out)["train"]["examples"] == 1438
    code, out, _ = command("data", "fetch", "digits")
    assert code == 0


def write_idx(path: Path, values: np.ndarray, magic: int | None = None) -> None:
    header = struct.pack(f">{1 + values.ndim}I", magic or 0x800 + values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def write_mnist_like(folder: Path) -> None:
    folder.mkdir()
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", np.zeros((20, 8, 8)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(20) % 2)


def write_pictures(
    folder: Path, sizes: tuple[int, ...] = (8, 8), classes: tuple[str, ...] = ("ant", "bee")
) -> None:
    from PIL import Image

    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(10):
            side = sizes[number % len(sizes)]
            Image.new("RGB", (side, side), (number, 0, 0)).save(folder / name / f"{number}.png")


def test_own_data_run(command, tmp_path: Path):
    write_mnist_like(tmp_path / "idx")
    write_pictures(tmp_path / "pictures", sizes=(8, 12))
    np.savez(
        tmp_path / "features.npz",
        x=np.random.default_rng(0).normal(size=(40, 3)),
        y=np.arange(40) % 2,
    )
    for data, more in (
        (f"idx:{tmp_path / 'idx'}", []),
        (f"folder:{tmp_path / 'pictures'}", ["--resize", 8]),
        (f"npz:{tmp_path / 'features.npz'}", []),
    ):
        arguments = [
            "run",
            data,
            "--model",
            "mlp1",
            "--alpha",
            1,
            *QUICK,
            "--store",
            tmp_path / "runs",
            "--json",
            *more,
        ]
        code, out, err = command(*arguments)
        assert code == 0, err
        spec = json.loads(out)["spec"]
        assert str(tmp_path) not in json.dumps(spec), "a spec holds no path"
        assert spec["data"].startswith(data.partition(":")[0] + "@")


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
            (["--labels", "none.parquet"], ["--alpha has no effect beside --labels none.parquet"]),
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
            (lambda f: write_idx(f / "train-images-idx3-ubyte.gz", np.zeros((20, 8, 8)), magic=77), ["train-images"]),
            (lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b junk"), ["train-images"]),
            (lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(
                gzip.compress(struct.pack(">4I", 0x803, 20, 8, 8) + b"\0" * 100)), ["train-images"]),
            (lambda f: (f / "train-images-idx3-ubyte.gz").write_bytes(
                gzip.compress(struct.pack(">4I", 0x803, 4_000_000_000, 4000, 4000) + b"\0" * 10**6)), ["train-images"]),
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


def test_interrupting_exits_with_130(tmp_path: Path):
    import signal

    arguments = [
        "run",
        "digits",
        "--model",
        "mlp4",
        "--steps",
        "100000",
        "--store",
        str(tmp_path),
        "--threads",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "dilute", *arguments, "--checkpoint-every", "1"],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"dilute: interrupted: stopped after step" in message
    assert b"Traceback" not in message


def test_demo_at_its_smallest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command):
    """The path of the demonstration, with runs of three steps; the real one is `make demo`."""
    from dilute import demo

    real = demo.demo_spec
    monkeypatch.setattr(
        demo,
        "demo_spec",
        lambda alpha, method="cross_entropy": real(alpha, method).model_copy(
            update={"budget_steps": 3, "batch_size": 8, "curve_points": 1}
        ),
    )
    code, out, err = command("demo", "--out", tmp_path)
    assert code == 0, err
    assert "of all labels wrong" in out
    assert "1,000 unseen digits" in out
    for name in ("labels.png", "curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


LOOK = ["gradients", "digits", "--model", "perceptron", "--alpha", "4", "--images", "128"]


def test_gradients_are_told_at_the_start_and_along_a_run(command):
    code, out, err = command(*LOOK, "--copies", "1,all", "--at", "0,10", "--batch-size", "32")
    assert code == 0, err
    assert "after 0 steps, alpha = 4: 20.0% of the labels clean" in out
    assert "after 10 steps" in out
    assert "32 visits in clean labels: measured" in out
    assert "step 10: the mean gradient" in err


def test_gradients_at_the_weights_of_a_run(command, tmp_path: Path):
    assert command(*SMALL, "--store", tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.last.safetensors")
    code, out, err = command(*LOOK, "--weights", path, "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    assert found["weights"] == str(path)
    assert found["alpha"] == 4
    visits = {one["copies"]: one for one in found["visits"]}
    assert visits.keys() == {1, 4, "all", "expected"}
    assert visits[1]["effective_batch"]["counting_clean_examples"] == pytest.approx(128 / 5)
    assert visits[1]["effective_batch"]["signal_over_noise"] == pytest.approx(128 / 25)
    value, low, high = visits["all"]["effective_batch"]["measured"]
    assert 0 < low < value < high
    assert [layer["layer"] for layer in found["signals"]] == ["", "1"]


def test_gradients_say_what_is_wrong_in_one_line(command, tmp_path: Path):
    assert command(*SMALL, "--store", tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.last.safetensors")
    other = ["gradients", "digits", "--model", "mlp1", "--weights", path]
    for arguments, says in (
        (other, "the weights are those of another model"),
        ([*LOOK, "--weights", tmp_path / "none"], "do not exist"),
        ([*LOOK, "--at", "0,x"], "steps '0,x' cannot be read; give numbers as in 0,50,200"),
        ([*LOOK, "--weights", path, "--at", "0"], "--at has no effect beside --weights"),
        ([*LOOK, "--copies", "some"], "copies = 'some' cannot be"),
        ([*LOOK, "--images", "100000"], "a set of 1438 images is too small for batches of 3125"),
    ):
        code, out, err = command(*arguments)
        assert (code, out) == (1, "")
        assert says in err.splitlines()[-1]
        assert "Traceback" not in err


def test_advice_is_a_command_that_runs(command, tmp_path: Path):
    asked = ["advise", "digits", "--model", "perceptron", "--alpha", "4", "--images", "512"]
    code, out, err = command(*asked, "--noise", "pair", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["copies"] == "all"
    assert found["learning_rate"]["low"] < found["learning_rate"]["value"]
    words = found["command"].split()
    assert words[:2] == ["dilute", "run"]
    steps = words.index("--steps") + 1
    assert int(words[steps]) == found["steps"]["value"]
    words[steps] = "3"
    assert command(*words[1:], "--store", tmp_path, "--curve-points", "1")[0] == 0
    (record,) = Store(tmp_path).records()
    assert record.spec["noise"] == {"pattern": "pair"}
    code, out, _ = command(*asked)
    assert code == 0
    last = out.splitlines()[-1]
    assert last.startswith(
        "dilute run digits --model perceptron --alpha 4 --method patches_estimated --copies all --batch-size"
    )


def test_a_run_logs_its_gradients(command, tmp_path: Path):
    code, out, err = command(*SMALL, "--log-gradients", "--store", tmp_path, "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record["spec"]["log_gradients"] is True
    assert record["gradient_seconds"] > 0
    first, last = record["curve"]
    assert first["step"] == 0
    assert first["gradient"]["length"] > 0
    assert last["gradient"] is None
