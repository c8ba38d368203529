from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dilute import data
from dilute.errors import DataError

RANDOM = np.random.default_rng(0)
LABELS = np.arange(10) % 2
FEATURES = RANDOM.normal(size=(10, 4))


def load(path: Path, **arrays) -> data.Splits:
    np.savez(path / "set.npz", **arrays)
    return data.load(f"npz:{path / 'set.npz'}")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((10, 6, 5), (1, 6, 5)),
        ((10, 6, 5, 1), (1, 6, 5)),
        ((10, 6, 5, 3), (3, 6, 5)),
        ((10, 3, 6, 5), (3, 6, 5)),
        ((10, 1, 6, 5), (1, 6, 5)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_image_shapes(tmp_path: Path, shape, expected, dtype) -> None:
    images = RANDOM.integers(0, 256, shape).astype(dtype)
    train = load(tmp_path, x_train=images, y_train=LABELS, x_test=images, y_test=LABELS).train
    assert train.is_images
    assert train.input_shape == expected
    channels_last = shape[-1] in (1, 3) and len(shape) == 4
    rearranged = images.transpose(0, 3, 1, 2) if channels_last else images.reshape(10, *expected)
    assert (train.inputs == rearranged).all()


@pytest.mark.parametrize(
    "keys",
    [("x", "y"), ("X", "y"), ("images", "labels"), ("features", "labels"), ("data", "target")],
)
def test_one_part_is_split(tmp_path: Path, keys: tuple[str, str]) -> None:
    splits = load(tmp_path, **{keys[0]: FEATURES, keys[1]: LABELS})
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == (8, 2)
    assert splits.train.inputs.dtype == np.float32
    assert splits.name.startswith("npz@")


def test_two_parts_and_labels_of_text(tmp_path: Path) -> None:
    names = np.array(["no", "yes"])[LABELS]
    splits = load(
        tmp_path,
        train_images=FEATURES,
        train_labels=names[:, None],
        test_images=FEATURES[:3],
        test_labels=names[:3],
    )
    assert splits.train.class_names == ("no", "yes")
    assert splits.test is not None
    assert splits.test.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.where(FEATURES > 1, np.nan, FEATURES), "y": LABELS}, "hold NaN or infinity"),
        ({"x": FEATURES * 1e300, "y": LABELS}, "hold NaN or infinity"),
        ({"x": FEATURES, "y": LABELS - 1}, "labels out of range: -1"),
        ({"x": FEATURES, "y": LABELS[:9]}, "10 inputs but 9 labels"),
        ({"x": FEATURES, "y": LABELS * 0}, "at least two"),
        ({"x": FEATURES, "y": np.eye(10)}, "one per example"),
        ({"x": FEATURES[:, 0], "y": LABELS}, "it must be \\[N, …\\]"),
        ({"x": np.array(["a"] * 10)[:, None], "y": LABELS}, "inputs must be numbers"),
        ({"x": np.zeros((10, 2, 2, 2), np.uint8), "y": LABELS}, "with C 1 or 3"),
        ({"x": FEATURES[:0], "y": LABELS[:0]}, "no labels"),
        ({"weights": FEATURES}, "holds weights; it must hold x_train"),
        ({"x": np.array([{}] * 10), "y": LABELS}, "Python objects"),
        (
            {"x_train": FEATURES, "y_train": LABELS, "x_test": FEATURES, "y_test": LABELS + 1},
            "only the test set has: 2",
        ),
        (
            {
                "x_train": FEATURES,
                "y_train": LABELS,
                "x_test": np.zeros((10, 2, 2), np.uint8),
                "y_test": LABELS,
            },
            "x_train is float64 but x_test is uint8",
        ),
    ],
)  # fmt: skip
def test_unfit_arrays(tmp_path: Path, arrays, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, **arrays)
    assert str(tmp_path) in str(caught.value)


def npy_bytes(shape: tuple[int, ...]) -> bytes:
    """Return an .npy header that promises `shape`, with two bytes of content."""
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + b"ab"


def test_headers_that_promise_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    for shape in ((2**40,), (2**70, 2), (3,), (-2,), (0,)):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", npy_bytes(shape))
            archive.writestr("y.npy", npy_bytes((2,)))
        with pytest.raises(DataError, match="array x is corrupt"):
            data.load(f"npz:{path}")


def test_zip_bombs_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=np.zeros((2, 70_000_000), np.uint8), y=LABELS[:2])
    with pytest.raises(DataError, match="decompression bomb"):
        data.load(f"npz:{path}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, 700), value=st.integers(0, 255), cut=st.booleans())
def test_damage_is_a_data_error_or_harmless(
    tmp_path: Path, position: int, value: int, cut: bool
) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=np.arange(40.0).reshape(10, 4), y=LABELS)
    content = bytearray(path.read_bytes())
    position %= len(content)
    content[position] = value
    path.write_bytes(content[:position] if cut else content)
    message = ""
    try:
        data.load(f"npz:{path}")
    except DataError as error:
        message = str(error)
    assert "\n" not in message


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*: No such file"):
        data.load(f"npz:{tmp_path / 'nowhere.npz'}")
    (tmp_path / "text.npz").write_bytes(b"text")
    with pytest.raises(DataError, match="not a zip file"):
        data.load(f"npz:{tmp_path / 'text.npz'}")
