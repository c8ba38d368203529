from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dilute import seeds

pytestmark = pytest.mark.numerical


def test_known_words():
    """Pinned for ever: changing these changes every result that was ever stored."""
    assert seeds.raw(0, "labels", 0, count=4).tolist() == [
        13184311359423006754,
        17654321690936702151,
        14669097218072949968,
        7651937679829659547,
    ]
    assert seeds.word(7, "step", 3) == 7174174467041177334


@given(start=st.integers(0, 200), count=st.integers(0, 50))
def test_any_part_of_a_stream_can_be_had_alone(start: int, count: int):
    whole = seeds.raw(3, "a", count=300)
    np.testing.assert_array_equal(
        seeds.raw(3, "a", start=start, count=count), whole[start : start + count]
    )


def test_streams_of_other_names_and_seeds_share_no_word():
    streams = [
        seeds.raw(seed, *names, count=20_000)
        for seed in (0, 1)
        for names in (("labels", 0), ("labels", 1), ("order", 0), ("subset",), ("labels0",))
    ]
    words = np.concatenate(streams)
    assert len(np.unique(words)) == len(words)


def test_names_are_not_run_together():
    assert seeds.word(0, "a", "b") != seeds.word(0, "ab")
    assert seeds.word(1, "1") != seeds.word(11)


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**31))
def test_permutation_is_a_bijection(size: int, seed: int):
    shuffled = seeds.Permutation(size, seed, "order")(np.arange(size))
    np.testing.assert_array_equal(np.sort(shuffled), np.arange(size))


def test_permutation_is_a_function_of_position():
    permutation = seeds.Permutation(10**12, 5, "order")
    positions = np.array([0, 10**12 - 1, 123_456_789])
    together = permutation(positions)
    assert [int(permutation(positions[i : i + 1])[0]) for i in range(3)] == together.tolist()
    assert together.tolist() == [921305108133, 892567867381, 362674590282]


@pytest.mark.parametrize("size", [2, 5, 16, 100])
def test_permutations_are_uniform(size: int):
    """Position → element over 4,000 keys.

    For random permutations the statistic is `size/(size − 1)` times chi-square with `(size − 1)²`
    degrees of freedom. Power at `size = 5`: one cell off by a fifth, its row and column making up
    for it, has a non-centrality of 50 on 16 degrees.
    """
    counts = np.zeros((size, size), dtype=int)
    for key in range(4000):
        counts[np.arange(size), seeds.Permutation(size, key, "u")(np.arange(size))] += 1
    statistic = ((counts - 4000 / size) ** 2 / (4000 / size)).sum()
    assert stats.chi2.sf(statistic * (size - 1) / size, (size - 1) ** 2) > 1e-3
    assert stats.ncx2.sf(stats.chi2.isf(1e-3, 16), 16, 50) > 0.85


def test_neighbours_are_uniform():
    """Pairs of adjacent positions land on all ordered pairs alike: no trace of the grid."""
    size, keys = 6, 6000
    counts = np.zeros((size, size), dtype=int)
    for key in range(keys):
        first, second = seeds.Permutation(size, key, "n")(np.array([2, 3]))
        counts[first, second] += 1
    assert counts.trace() == 0
    observed = counts[~np.eye(size, dtype=bool)]
    assert stats.chisquare(observed).pvalue > 1e-4
