from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dilute import seeds
from dilute.data import load_pool
from dilute.data.labelled import LabelledSet
from dilute.data.white_noise import WhiteNoise, level_probabilities, white_noise_size
from dilute.errors import DataError

LEVELS = np.arange(256)


def image_set(images: np.ndarray) -> LabelledSet:
    return LabelledSet(images, np.arange(len(images)) % 2, ("a", "b"))


def skewed_images() -> np.ndarray:
    """Return images whose three channels are mostly dark, mostly bright, and even."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (50, 3, 8, 8))
    images[:, 0] = np.where(random.random((50, 8, 8)) < 0.8, 0, images[:, 0])
    images[:, 1] = np.where(random.random((50, 8, 8)) < 0.6, 255, images[:, 1])
    return images.astype(np.uint8)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.001, 254.999), st.floats(0.0, 1.0))
def test_rounded_and_clipped_moments_are_those_asked_for(mean: float, part: float) -> None:
    below = min(int(mean), 254)
    smallest, largest = (mean - below) * (below + 1 - mean), mean * (255 - mean)
    variance = smallest + (largest - smallest) * part**3
    assume(variance > 1e-6)
    found = level_probabilities(mean, variance)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()
    found_mean = found @ LEVELS
    assert found_mean == pytest.approx(mean, rel=1e-6)
    assert found @ (LEVELS - found_mean) ** 2 == pytest.approx(variance, rel=2e-6)


@pytest.mark.parametrize("levels", [(0, 255), (7, 8), (200, 200)])
def test_data_of_two_levels(levels: tuple[int, int]) -> None:
    images = np.resize(np.array([levels[0]] * 3 + [levels[1]], np.uint8), (50, 1, 4, 5))
    drawn = WhiteNoise(image_set(images), 0, 500).gather(np.arange(500))
    assert set(np.unique(drawn)) == set(levels)
    assert drawn.mean() == pytest.approx(images.mean(), abs=0.02 * (levels[1] - levels[0]))


def test_mean_and_variance_of_what_is_drawn() -> None:
    images = skewed_images()
    noise = WhiteNoise(image_set(images), 1, 4000)
    drawn = noise.gather(np.arange(4000))
    assert drawn.shape == (4000, 3, 8, 8)
    assert drawn.dtype == np.uint8
    mean, deviation = image_set(images).statistics()
    drawn_mean, drawn_deviation = image_set(drawn).statistics()
    variance, drawn_variance = deviation**2, drawn_deviation**2
    pixels = 4000 * 64
    # Six standard errors; a variance's is at most variance·sqrt(kurtosis/n), kurtosis < 10 here.
    assert np.abs(drawn_mean - mean) == pytest.approx(0, abs=6 * np.sqrt(variance.max() / pixels))
    assert drawn_variance == pytest.approx(variance, rel=6 * np.sqrt(10 / pixels))
    for channel in range(3):
        # The table itself is the distribution: exact up to its 65,536 entries.
        table = noise._tables[channel].astype(float)
        assert table.mean() == pytest.approx(mean[channel], abs=1e-4)
        assert table.var() == pytest.approx(variance[channel], rel=1e-4)


def test_pixels_are_independent() -> None:
    drawn = WhiteNoise(image_set(skewed_images()), 2, 20_000).gather(np.arange(20_000))
    flat = drawn.reshape(20_000, -1)[:, ::7].astype(float)
    correlation = np.corrcoef(flat, rowvar=False)
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(20_000)


SHARED = WhiteNoise(image_set(skewed_images()[:4]), 3, 1000)


@given(st.lists(st.integers(0, 999), max_size=20))
@settings(deadline=None)
def test_an_image_depends_on_seed_and_index_alone(indices: list[int]) -> None:
    together = SHARED.gather(np.array(indices, np.int64))
    assert together.shape == (len(indices), 3, 8, 8)
    for index, image in zip(indices, together, strict=True):
        assert (SHARED.gather(np.array([index]))[0] == image).all()


def test_known_answer_from_the_stream() -> None:
    noise = WhiteNoise(image_set(skewed_images()), 3, 10)
    words = seeds.raw(3, "data", "white noise", start=5 * 48, count=48)
    numbers = np.array([int(word) >> shift & 0xFFFF for word in words for shift in (0, 16, 32, 48)])
    expected = np.stack([noise._tables[c][numbers[64 * c : 64 * (c + 1)]] for c in range(3)])
    image = noise.gather(np.array([5]))[0]
    assert (image.reshape(3, 64) == expected).all()
    other = WhiteNoise(image_set(skewed_images()), 4, 10).gather(np.array([5]))[0]
    assert (image != other).mean() > 0.5


def test_float_features() -> None:
    random = np.random.default_rng(0)
    inputs = (random.normal(size=(500, 3)) * [1, 5, 0] + [0, 100, 7]).astype(np.float32)
    drawn = WhiteNoise(image_set(inputs), 0, 5000).gather(np.arange(5000))
    assert drawn.dtype == np.float32
    assert drawn.mean(axis=0) == pytest.approx(inputs.mean(axis=0), abs=0.5)
    assert drawn.std(axis=0) == pytest.approx(inputs.std(axis=0), rel=0.1)
    assert (drawn[:, 2] == 7).all()


def test_bad_sizes_and_indices() -> None:
    with pytest.raises(DataError, match="white noise of size 0"):
        WhiteNoise(image_set(skewed_images()), 0, 0)
    noise = WhiteNoise(image_set(skewed_images()), 0, 5)
    assert len(noise) == 5
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            noise.gather(np.array([wrong]))


def test_a_pool_is_had_by_its_name() -> None:
    like = image_set(skewed_images())
    endless, pool = load_pool("white_noise", like, 3), load_pool("white_noise:20", like, 3)
    assert (endless.name, pool.name) == ("white_noise", "white_noise:20")
    assert len(pool) == 20
    np.testing.assert_array_equal(pool.gather(np.arange(20)), endless.gather(np.arange(20)))
    assert len(load_pool("white_noise:1000000000000", like, 3)) == 10**12
    assert white_noise_size("white_noises") is white_noise_size("mnist:5") is None


@pytest.mark.parametrize(
    "size", ["", "0", "-1", "x", "1.5", "1e3", " 5", "²", "1_000", "9" * 13, "9" * 5000]
)
def test_sizes_that_cannot_be(size: str) -> None:
    with pytest.raises(DataError, match="a whole number from 1 to 10") as caught:
        load_pool(f"white_noise:{size}", image_set(skewed_images()), 0)
    assert "\n" not in str(caught.value)
