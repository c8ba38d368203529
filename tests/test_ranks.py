"""Several ranks in real processes: they train as one does, and what happens when one is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from pictures import jpeg
from slow_loading import SLOW_COMMAND, slow_run, wait_for

from dilute.cli import main
from dilute.runs import Store
from dilute.training import load_weights
from dilute.world import joined

STEPS = 40
RUN = [
    "run", "digits", "--model", "recording:conv4", "--alpha", "3", "--batch-size", "33",
    "--steps", str(STEPS), "--optimizer", "sgd", "--curve-points", "4", "--checkpoint-every", "1",
    "--threads", "1", "--json",
]  # fmt: skip
LIMIT_SECONDS = 60  # for all processes to end, once a rank is gone; torchrun itself gives them 30


def environment(**more: object) -> dict[str, str]:
    tests = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")]))
    return (
        os.environ
        | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        | {k: str(v) for k, v in more.items()}
    )


def launch(
    arguments: list[str],
    ranks: int = 2,
    program: tuple[str, ...] = ("-m", "dilute"),
    **more: object,
) -> subprocess.Popen:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    port = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]  # a free one
    return subprocess.Popen(
        [sys.executable, *launcher, *port, *program, *arguments],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen, code: int | None = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=180)
    assert code is None or process.returncode == code, err
    return out, err


def said(err: str) -> list[str]:
    """Return what dilute said of errors; the rest is torchrun's own."""
    return [line for line in err.splitlines() if line.startswith("dilute: ")]


def batches(folder: Path, ranks: int = 2) -> list[list[str]]:
    """Return the batches that were seen, each joined from its ranks' rows."""
    files = [(folder / str(rank)).read_text().splitlines() for rank in range(ranks)]
    return [" ".join(parts).split() for parts in zip(*files, strict=True)]


def weights(store: Path, which: str = "last") -> dict[str, torch.Tensor]:
    (path,) = store.glob(f"*.{which}.safetensors")
    return load_weights(path)[0]


def assert_near(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-4)


def assert_same_bits(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def latest(store: Path) -> int:
    found = list(store.glob("*.checkpoint.safetensors"))
    return load_weights(found[0])[1]["step"] if found else 0


def wait_for_step(store: Path, step: int) -> None:
    end = time.monotonic() + 120
    while latest(store) < step:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def rank_process(launcher: subprocess.Popen, rank: int) -> psutil.Process:
    children = psutil.Process(launcher.pid).children()
    return next(c for c in children if c.environ().get("RANK") == str(rank))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[Path, Path]:
    """The run in one process: its store, and the batches that it saw."""
    store, seen = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("seen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORDING", str(seen))
        assert main([*RUN, "--store", str(store)]) == 0
    return store, seen


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, Path, str, str]:
    """The same run in two: store, batches, and what was said."""
    store, seen = tmp_path_factory.mktemp("together"), tmp_path_factory.mktemp("seen")
    out, err = ended(launch([*RUN, "--store", str(store)], RECORDING=seen))
    return store, seen, out, err


@pytest.mark.numerical
def test_two_ranks_train_as_one_process(alone, together):
    (store, seen), (store2, seen2, out, err) = alone, together
    whole = batches(seen, ranks=1)
    assert len(whole) == STEPS
    assert batches(seen2) == whole
    assert {len(line.split()) for line in (seen2 / "0").read_text().splitlines()} == {16}
    for which in ("last", "selected"):
        assert_near(weights(store2, which), weights(store, which))
    (expected,), (record,) = (list(Store(s).records()) for s in (store, store2))
    assert json.loads(out)["key"] == record.key == expected.key, "one document, of rank 0"
    assert record.hardware["world_size"] == 2
    assert "world_size" not in expected.hardware
    assert record.selected_step == expected.selected_step
    for point, other in zip(record.curve, expected.curve, strict=True):
        for name in ("train_loss", "heldout_nll", "heldout_mixed_nll", "test_accuracy"):
            assert getattr(point, name) == pytest.approx(getattr(other, name), abs=3e-3), name
    assert err.count(f"step {STEPS}/{STEPS}") == 1, "rank 0 alone shows progress"


@pytest.mark.numerical
def test_a_killed_rank_ends_the_run_which_goes_on_at_any_world_size(
    alone, together, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    store = tmp_path / "two"
    process = launch([*RUN, "--store", str(store)], RECORDING_SECONDS=0.05)
    wait_for_step(store, 5)
    survivor = rank_process(process, 0)
    rank_process(process, 1).send_signal(signal.SIGKILL)
    started = time.monotonic()
    _, err = ended(process, code=None)
    assert time.monotonic() - started < LIMIT_SECONDS
    assert process.returncode not in (0, None)
    assert not survivor.is_running()
    assert len(said(err)) <= 1, err
    assert not list(store.glob("*.json"))
    step = latest(store)
    assert 5 <= step < STEPS

    other = tmp_path / "one"
    shutil.copytree(store, other)
    ended(launch([*RUN, "--store", str(store)]))
    assert_same_bits(weights(store), weights(together[0]))
    assert_same_bits(weights(store, "selected"), weights(together[0], "selected"))

    seen = tmp_path / "seen"
    seen.mkdir()
    monkeypatch.setenv("RECORDING", str(seen))
    assert main([*RUN, "--store", str(other)]) == 0
    assert batches(seen, ranks=1) == batches(alone[1], ranks=1)[step:]
    assert_near(weights(other), weights(alone[0]))


@pytest.mark.parametrize("command", ["sweep", "compare"])
def test_other_commands_are_not_for_ranks(command: str, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main([command, "x"]) == 1
    assert "only dilute run is data-parallel" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert main([command, "x"]) == 1
    assert capsys.readouterr() == ("", ""), "rank 0 says it for all"


def test_a_rank_without_a_gpu_of_its_own_says_so(capsys, monkeypatch: pytest.MonkeyPatch):
    for variable, value in (("WORLD_SIZE", 4), ("RANK", 7), ("LOCAL_RANK", 3)):
        monkeypatch.setenv(variable, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert main(["run", "digits", "--model", "mlp1"]) == 1
    (line,) = said(capsys.readouterr().err)
    assert "rank 7 is number 3 on its machine, counted from 0, which has 2 GPUs; take" in line


def test_an_empty_world_size_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "")
    with joined(None) as world:
        assert world.size == 1


@pytest.mark.parametrize("asked", ["launcher", 0, 1])
@pytest.mark.slow
def test_asked_to_stop_all_ranks_stop_at_one_step(together, tmp_path: Path, asked):
    """SIGTERM to torchrun, or to one rank of two: a checkpoint, exit code 130, one line."""
    store = tmp_path / "runs"
    process = launch([*RUN, "--store", str(store)], RECORDING_SECONDS=0.05)
    wait_for_step(store, 5)
    both = [rank_process(process, rank) for rank in (0, 1)]
    (process if asked == "launcher" else both[asked]).send_signal(signal.SIGTERM)
    _, err = ended(process, code=None)
    assert process.returncode != 0
    (line,) = said(err)
    step = int(line.removeprefix("dilute: interrupted: stopped after step ").split()[0])
    assert latest(store) == step < STEPS
    if asked != "launcher":
        assert "exitcode  : 130" in err
    ended(launch([*RUN, "--store", str(store)]))
    assert_same_bits(weights(store), weights(together[0]))


@pytest.mark.slow
def test_asked_to_stop_while_they_wait_for_loader_workers(tmp_path: Path):
    """SIGTERM to torchrun, which sends it to the ranks' groups: a checkpoint, one line, and on."""
    mark, store, script = tmp_path / "mark", tmp_path / "runs", tmp_path / "slow.py"
    script.write_text(SLOW_COMMAND)
    run = [str(mark), *slow_run(mark, store)[4:]]
    process = launch(run, program=(str(script),))
    wait_for(mark)
    process.send_signal(signal.SIGTERM)
    _, err = ended(process, code=None)
    assert process.returncode != 0
    (line,) = said(err)
    assert line.startswith("dilute: interrupted: stopped after step ")
    assert latest(store) > 0
    ended(launch(run, program=(str(script),)))
    assert len(list(store.glob("*.json"))) == 1


@pytest.mark.slow
def test_a_silent_rank_is_given_up_in_the_time_stated(tmp_path: Path):
    store = tmp_path / "runs"
    arguments = [*RUN, "--store", str(store), "--silence-seconds", "5"]
    process = launch(arguments, RECORDING_SECONDS=0.05)
    wait_for_step(store, 3)
    rank_process(process, 1).send_signal(signal.SIGSTOP)
    started = time.monotonic()
    _, err = ended(process, code=None)
    assert time.monotonic() - started < 5 + LIMIT_SECONDS
    assert process.returncode != 0
    (line,) = said(err)
    assert "rank 0 of 2 lost the others: one has ended, or was silent for 5 s" in line


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_failing_rank_says_why(tmp_path: Path, rank: int):
    process = launch([*RUN, "--store", str(tmp_path)], RECORDING=tmp_path, RECORDING_FAILS=rank)
    _, err = ended(process, code=1)
    assert said(err) == [f"dilute: rank {rank} failed: RuntimeError: no luck"]
    assert len(list(tmp_path.glob("*.json"))) == (rank == 0)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["em_estimated", "patches_estimated"])
def test_three_ranks_with_methods_that_look(tmp_path: Path, method: str):
    run = ["run", "digits", "--model", "mlp1", "--alpha", "5"]
    run += ["--method", method, "--batch-size", "32", "--steps", "30", "--optimizer", "sgd"]
    run += ["--threads", "1", "--store"]
    ended(launch([*run, str(tmp_path / "three")], ranks=3))
    assert main([*run, str(tmp_path / "one")]) == 0
    assert_near(weights(tmp_path / "three"), weights(tmp_path / "one"))
    assert_near(weights(tmp_path / "three", "selected"), weights(tmp_path / "one", "selected"))


@pytest.mark.slow
def test_what_cannot_be_is_said_once(tmp_path: Path):
    for arguments, message in (
        (["--method", "elr"], "ELR looks at a batch as a whole"),
        (["--batch-size", "1"], "leaves some of 2 ranks without an image"),
        (["--device", "meta"], "cannot be used by several ranks"),
    ):
        run = ["run", "digits", "--model", "mlp1", "--store", str(tmp_path), *arguments]
        _, err = ended(launch(run), code=1)
        (line,) = said(err)
        assert message in line
    assert not list(tmp_path.iterdir())


STREAMED = [
    "--resize", "12", "--stream", "--model", "mlp1", "--alpha", "2", "--copies", "1",
    "--augment", "crop_flip", "--batch-size", "15", "--steps", "12", "--optimizer", "sgd",
    "--curve-points", "3", "--threads", "1",
    "--loader-workers", "1", "--json",
]  # fmt: skip


def spoil(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xd8 not a picture" + bytes(50))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """60 JPEG files of three classes, one of which is none."""
    for number in range(60):
        place = tmp_path / "pictures" / "abc"[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:02}.jpg").write_bytes(jpeg(number))
    spoil(tmp_path / "pictures", "b/04.jpg")
    return tmp_path / "pictures"


FEW_LOOKED_AT_BEFORE = """
import sys
import dilute.data.labelled
from dilute.cli import main

dilute.data.labelled.STATISTICS_IMAGES = 4
sys.exit(main())
"""


@pytest.mark.numerical
def test_ranks_with_loader_workers_stream_what_one_process_does(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Augmented images, decoded by each rank's worker; broken ones are skipped and counted once."""
    for number in range(5, 60, 6):
        spoil(pictures, f"c/{number:02}.jpg")
    monkeypatch.setattr("dilute.data.labelled.STATISTICS_IMAGES", 4)
    script = tmp_path / "few.py"
    script.write_text(FEW_LOOKED_AT_BEFORE)
    program = (str(script),)
    run = ["run", f"folder:{pictures}", *STREAMED, "--on-corrupt", "skip", "--store"]
    ended(launch([*run, str(tmp_path / "two")], program=program))
    assert main([*run, str(tmp_path / "one")]) == 0
    assert_near(weights(tmp_path / "two"), weights(tmp_path / "one"))
    (record,), (expected,) = (list(Store(tmp_path / name).records()) for name in ("two", "one"))
    assert record.key == expected.key
    assert record.unreadable_images == expected.unreadable_images == 11
    ended(launch([*run, str(tmp_path / "again")], program=program))
    assert_same_bits(weights(tmp_path / "again"), weights(tmp_path / "two"))


def test_a_corrupt_image_ends_all_ranks_in_one_line(pictures: Path, tmp_path: Path):
    started = time.monotonic()
    _, err = ended(
        launch(["run", f"folder:{pictures}", *STREAMED, "--store", str(tmp_path)]), code=1
    )
    assert time.monotonic() - started < 2 * LIMIT_SECONDS
    (line,) = said(err)
    assert "04.jpg" in line
    assert not list(tmp_path.glob("*.json"))
