"""What becomes of pictures that are turned, transparent, or of more than eight bits."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dilute import data
from dilute.data import Reading
from dilute.data.eight_bits import eight_bits
from dilute.data.images import decode

# Where in the upright picture its red corner is, by EXIF orientation of a file that has it at the
# top left: the meaning that the standard gives to each value.
_CORNERS = {
    1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0),
    5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0),
}  # fmt: skip


def as_file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write_set(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", _CORNERS)
def test_exif_orientation_is_applied(orientation: int, kind: str):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16, 0] = 255
    exif = Image.Exif()
    exif[0x112] = orientation
    found = decode(("x", as_file(Image.fromarray(pixels), kind, exif=exif)), lambda image: image)
    assert found.shape == ((3, 16, 32) if orientation < 5 else (3, 32, 16))
    row, column = _CORNERS[orientation]
    red = found[0] > 128
    assert red[row, column]
    assert red.sum() == pytest.approx(128, abs=16)


def test_garbage_in_exif_leaves_the_picture_as_it_is():
    content = as_file(Image.new("RGB", (4, 8), "red"), "JPEG", exif=b"Exif\0\0garbage")
    assert decode(("x", content), lambda image: image).shape == (3, 8, 4)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L", "RGB"])
def test_what_is_transparent_is_white(mode: str):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (0, 0, 2, 4))
    if mode in ("L", "RGB"):
        options = {"transparency": 0 if mode == "L" else (0, 0, 0)}
        content = as_file(image.convert(mode), **options)
    else:
        content = as_file(image.convert(mode))
    found = decode(("x", content), lambda image: image)
    assert (found[:, :, :2] == 10).all()
    assert (found[:, :, 2:] == 255).all()


def test_opaque_pictures_keep_every_value():
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    values[..., 3] = 255
    assert np.array_equal(np.asarray(eight_bits(Image.fromarray(values))), values[..., :3])


@pytest.mark.parametrize("stream", [False, True])
def test_lost_levels_are_said_once(tmp_path: Path, caplog, stream: bool):
    draw = np.random.default_rng(0)
    deep = {
        f"{name}/{i}.png": as_file(Image.fromarray(draw.integers(0, 4096, (8, 8)).astype("u2")))
        for name in "ab"
        for i in range(5)
    }
    splits = data.load(f"folder:{write_set(tmp_path, deep)}", Reading(resize=8, stream=stream))
    assert splits.test is not None
    for part in (splits.train, splits.train, splits.test):
        part.gather(np.arange(len(part)))
    (line,) = [record.getMessage() for record in caplog.records]
    assert "fewer than 17 of 256 grey levels are left" in line
    assert ".png); scale their values" in line
    assert "of 8 images" in line if stream else "10 of 10 images" in line


def test_images_without_contents_are_said(tmp_path: Path, caplog):
    files = {f"{name}/{i}.png": as_file(Image.new("L", (8, 8), 7)) for name in "ab" for i in (1, 2)}
    full = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1024
    files["a/1.png"] = as_file(Image.fromarray(full))
    data.load(f"folder:{write_set(tmp_path, files)}")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "3 of 4 images have one value everywhere (first: " in line
    assert "a/2.png)" in line
