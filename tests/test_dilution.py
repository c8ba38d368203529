from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dilute.data import LabelledSet, WhiteNoise
from dilute.dilution import DilutedSet, NoisySet, ReplacedSet, read_labels, write_labels
from dilute.dilution.blocks import draw_labels
from dilute.errors import DataError, NoiseError
from dilute.noise import Asymmetric, Confusion, Pair, Structured, Uniform, UniformOther

pytestmark = pytest.mark.numerical

SMALL_IMAGES = (
    np.zeros((90, 1, 8, 8), dtype=np.uint8) + np.arange(90, dtype=np.uint8)[:, None, None, None]
)
SMALL = LabelledSet(SMALL_IMAGES, np.array([0] * 50 + [1] * 30 + [2] * 10), ("ant", "bee", "cat"))
OTHER = LabelledSet(255 - SMALL_IMAGES[:40], np.arange(40) % 3, ("x", "y", "z"))

PATTERNS = [
    Uniform(),
    UniformOther(),
    Pair(),
    Asymmetric(class_map="mnist"),
    Structured(delta=0.7, order="random", order_seed=4),
    Confusion(
        rows=tuple(tuple(float(1 + (3 * i + j * j) % 7) for j in range(10)) for i in range(10))
    ),
]


def test_labels_of_a_seed_are_pinned():
    """Known answers, for ever: two people with one seed train on the very same wrong labels."""
    diluted = DilutedSet(SMALL, 4.0, seed=0)
    assert diluted.blocks[0].labels[:3].tolist() == [
        [0, 2, 1, 2, 0],
        [0, 2, 1, 2, 0],
        [0, 2, 1, 1, 1],
    ]
    structured = DilutedSet(SMALL, 4.0, Structured(delta=1, order="random"), seed=1)
    assert structured.blocks[0].labels[88:].tolist() == [[2, 0, 0, 2, 0], [2, 0, 0, 0, 0]]
    assert (
        diluted.content_hash() == "7a557712528dcccaf21c920520ee99972246dc96068eef9d4376b7d1594f7373"
    )
    replaced = ReplacedSet(SMALL, 0.4, UniformOther(), seed=3)
    assert replaced.blocks[0].labels[:12, 0].tolist() == [0, 0, 0, 2, 0, 0, 1, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.pattern)
@pytest.mark.parametrize("first", [0, 7, 10**9])
def test_the_labels_of_a_shard_need_no_others(pattern, first: int):
    """A range of images, drawn alone, a part of it, and each image by itself, wherever it lies."""
    images = np.arange(first, first + 200)
    own = images % 10
    matrix = pattern.matrix(10, 20.0)

    def drawn(part: slice) -> np.ndarray:
        out = np.empty((len(images[part]), 4), dtype=np.uint8)
        draw_labels(out, own[part], images[part], matrix, seed=5)
        return out

    whole = drawn(slice(None))
    assert np.array_equal(drawn(slice(50, 90)), whole[50:90])
    assert np.array_equal(np.concatenate([drawn(slice(i, i + 1)) for i in range(20)]), whole[:20])
    if first < 100:
        from_start = np.empty((first + 200, 4), dtype=np.uint8)
        draw_labels(from_start, np.arange(first + 200) % 10, np.arange(first + 200), matrix, seed=5)
        assert np.array_equal(from_start[first:], whole)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.pattern)
def test_frequencies_follow_the_matrix(big: LabelledSet, pattern):
    """Chi-square per class on 600 images × 20 copies = 12,000 labels.

    Power: one of ten cells at 0.12 instead of 0.1, the others making up for it, is found at the
    level of 1e-3 with probability above 0.98, as the last line computes.
    """
    diluted = DilutedSet(big, 20.0, pattern, seed=11)
    matrix = pattern.matrix(10, 20.0)
    drawn = diluted.blocks[0].labels[:, 1:]
    for true_class in range(10):
        counts = np.bincount(drawn[big.labels == true_class].ravel(), minlength=10)
        possible = matrix[true_class] > 0
        assert counts[~possible].sum() == 0
        if possible.sum() > 1:
            expected = 12_000 * matrix[true_class, possible]
            assert stats.chisquare(counts[possible], expected).pvalue > 1e-3
    shift = np.full(10, -0.02 / 9)
    shift[0] = 0.02
    non_centrality = (12_000 * shift**2 / 0.1).sum()
    assert stats.ncx2.sf(stats.chi2.isf(1e-3, 9), 9, non_centrality) > 0.98


def test_copies_are_independent(big: LabelledSet):
    """Labels of two copies, and of neighbouring images, form a 10×10 table without association.

    Power: if 3 % of the labels repeated their partner's, 60,000 pairs would show it at the level
    of 1e-3 with probability above 0.99, as the last lines compute.
    """
    drawn = DilutedSet(big, 20.0, seed=2).blocks[0].labels[:, 1:]
    for first, second in (
        (drawn[:, ::2], drawn[:, 1::2]),
        (drawn[:-1], drawn[1:]),
        (drawn[:-4], drawn[4:]),
    ):
        table = np.histogram2d(first.ravel(), second.ravel(), bins=10, range=[[0, 10], [0, 10]])[0]
        assert stats.chi2_contingency(table).pvalue > 1e-3
    shift = 0.03 * (np.eye(10) / 10 - 0.01)
    non_centrality = (60_000 * shift**2 / 0.01).sum()
    assert stats.ncx2.sf(stats.chi2.isf(1e-3, 81), 81, non_centrality) > 0.99


def test_a_label_depends_on_seed_image_and_copy_alone(big: LabelledSet):
    many = DilutedSet(big, 8.0, seed=5)
    few = DilutedSet(big, 3.0, seed=5)
    np.testing.assert_array_equal(few.blocks[0].labels, many.blocks[0].labels[:, :4])
    rows = np.arange(17, 6000, 7)
    part = DilutedSet(big, 8.0, seed=5, rows=rows)
    np.testing.assert_array_equal(part.blocks[0].labels, many.blocks[0].labels[rows])
    other = DilutedSet(big, 8.0, seed=6)
    assert (other.blocks[0].labels[:, 1:] == many.blocks[0].labels[:, 1:]).mean() == pytest.approx(
        0.1, abs=0.01
    )


def noisy_sets() -> st.SearchStrategy[NoisySet]:
    patterns = st.sampled_from([Uniform(), UniformOther(), Pair(), Asymmetric(class_map={0: 2})])
    rows = st.sets(st.integers(0, 89), min_size=1).map(lambda s: np.array(sorted(s)))
    images = st.sampled_from([None, OTHER, WhiteNoise(SMALL, 3, 200)])
    diluted = st.builds(
        lambda alpha, pattern, seed, rows, images: DilutedSet(
            SMALL, alpha, pattern, seed, rows=rows, images=images),
        st.floats(0, 6), patterns, st.integers(0, 99), rows, images,
    )  # fmt: skip
    replaced = st.builds(
        lambda rate, pattern, seed, rows: ReplacedSet(SMALL, rate, pattern, seed, rows=rows),
        st.floats(0, 1), patterns, st.integers(0, 99), rows,
    )  # fmt: skip
    return diluted | replaced


@settings(deadline=None, max_examples=60)
@given(noisy=noisy_sets())
def test_the_three_views_agree(noisy: NoisySet):
    """`counts()` rebuilt from `example(i)`, for any kind, alpha, subset and image source."""
    counts = noisy.counts()
    rebuilt = np.zeros_like(counts)
    offset = 0
    index = 0
    for block in noisy.blocks:
        images = {
            block.source.gather(block.rows[[i]]).tobytes(): offset + i for i in range(len(block))
        }
        for _ in range(block.num_examples):
            image, label = noisy.example(index)
            rebuilt[images[image.tobytes()], label] += 1
            index += 1
        offset += len(block)
    assert index == len(noisy) == counts.sum()
    np.testing.assert_array_equal(rebuilt, counts)
    expected = noisy.expected()
    assert expected.shape == counts.shape
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    assert noisy.num_clean + noisy.num_noisy == len(noisy)


@settings(deadline=None, max_examples=60)
@given(alpha=st.floats(0, 6), size=st.integers(1, 90))
def test_a_real_alpha_gives_that_many_noisy_examples(alpha: float, size: int):
    for images in (None, OTHER):
        diluted = DilutedSet(SMALL, alpha, rows=np.arange(size), images=images)
        assert diluted.num_clean == diluted.n == size
        assert diluted.num_noisy == round(alpha * size)
        lengths = diluted.counts().sum(axis=1)[size if images else 0 :]
        assert np.ptp(lengths) <= 1 if len(lengths) else True


def test_the_first_examples_are_the_clean_ones():
    diluted = DilutedSet(SMALL, 2.5, seed=1)
    for index in (0, 49, 50, 89):
        image, label = diluted[index]
        assert (image[0, 0, 0], label) == (index, SMALL.labels[index])
    assert len(diluted) == 90 + 225
    with pytest.raises(IndexError, match="there are 315"):
        diluted[315]


def test_an_edited_description_is_noticed(tmp_path: Path):
    import pyarrow.parquet as pq

    path = tmp_path / "labels.parquet"
    write_labels(DilutedSet(SMALL, 1.0), path)
    table = pq.read_table(path)
    changed = table.schema.metadata[b"dilute"].replace(b'"amount": 1.0', b'"amount": 2.0')
    pq.write_table(table.replace_schema_metadata({b"dilute": changed}), path)
    with pytest.raises(DataError, match="its description was changed"):
        read_labels(path, SMALL)


def test_labels_on_other_images_need_those_images(tmp_path: Path):
    path = tmp_path / "labels.parquet"
    write_labels(DilutedSet(SMALL, 1.0, images=OTHER), path)
    for wrong in (None, SMALL):
        with pytest.raises(DataError, match="give that source"):
            read_labels(path, SMALL, images=wrong)


def test_white_noise_needs_no_giving(tmp_path: Path):
    noisy = DilutedSet(SMALL, 1.5, images=WhiteNoise(SMALL, 5))
    write_labels(noisy, tmp_path / "labels.parquet")
    back = read_labels(tmp_path / "labels.parquet", SMALL)
    np.testing.assert_array_equal(back.example(100)[0], noisy.example(100)[0])


def test_is_a_map_style_data_set():
    from torch.utils.data import DataLoader

    images, labels = next(iter(DataLoader(DilutedSet(SMALL, 1.0), batch_size=100)))
    assert tuple(images.shape) == (100, 1, 8, 8)
    assert tuple(labels.shape) == (100,)


def test_expected_is_the_papers_h_alpha():
    expected = DilutedSet(SMALL, 20.0).expected()
    assert expected[0].tolist() == pytest.approx([1 / 21 + 20 / 63, 20 / 63, 20 / 63])


def test_counts_approach_what_is_expected(big: LabelledSet):
    diluted = DilutedSet(big, 10.0, Pair(), seed=1)
    np.testing.assert_allclose(diluted.counts() / 11, diluted.expected())


def test_noisy_images_from_elsewhere():
    """Clean images keep one label each; the others share the noise equally, labelled uniformly."""
    diluted = DilutedSet(SMALL, 10.0, seed=2, images=OTHER)
    clean, pool = diluted.blocks
    assert (clean.labels[:, 0] == SMALL.labels).all()
    assert pool.source is OTHER
    assert sorted(pool.rows.tolist()) == list(range(40))
    assert pool.lengths(np.arange(40)).tolist().count(22) == 20
    assert pool.lengths(np.arange(40)).tolist().count(23) == 20
    counts = pool.counts(np.arange(40)).sum(axis=0)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert stats.chi2_contingency(pool.counts(np.arange(40))).pvalue > 1e-4


def test_white_noise_images_are_all_different():
    diluted = DilutedSet(SMALL, 2.0, images=WhiteNoise(SMALL, 0, 180))
    noisy_images = {diluted.example(i)[0].tobytes() for i in range(90, 270)}
    assert len(noisy_images) == 180


def test_replacement_replaces_exactly_that_many():
    replaced = ReplacedSet(SMALL, 0.4, UniformOther(), seed=3)
    assert len(replaced) == 90
    assert replaced.num_noisy == 36
    assert (replaced.blocks[0].labels[:, 0] != SMALL.labels).sum() == 36
    np.testing.assert_allclose(replaced.expected()[0], [0.6, 0.2, 0.2])


@pytest.mark.parametrize(
    "noisy", [DilutedSet(SMALL, 2.7), ReplacedSet(SMALL, 0.5), DilutedSet(SMALL, 9.1, images=OTHER)]
)
def test_split_keeps_each_images_labels_together(noisy: NoisySet):
    kept, held = noisy.split(0.2, seed=1)
    assert held is not None
    assert held.n == 18
    assert len(kept) + len(held) == len(noisy)
    assert kept.num_noisy + held.num_noisy == noisy.num_noisy
    for whole, part, rest in zip(noisy.blocks, kept.blocks, held.blocks, strict=True):
        assert not set(part.rows) & set(rest.rows)
        for block in (part, rest):
            where = [int(np.flatnonzero(whole.rows == row)[0]) for row in block.rows]
            np.testing.assert_array_equal(
                block.counts(np.arange(len(block))), whole.counts(np.array(where))
            )


def test_split_of_nothing_and_of_all():
    assert DilutedSet(SMALL, 1.0).split(0.001, seed=0)[1] is None
    with pytest.raises(NoiseError, match="leaves none to train on"):
        DilutedSet(SMALL, 1.0).split(0.999, seed=0)


@settings(deadline=None, max_examples=25)
@given(noisy=noisy_sets())
def test_a_realisation_survives_a_file(noisy: NoisySet, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("labels") / "labels.parquet"
    content_hash = write_labels(noisy, path)
    pool = noisy.blocks[1].source if len(noisy.blocks) > 1 else None
    back = read_labels(path, SMALL, images=pool)
    assert back.content_hash() == noisy.content_hash() == content_hash
    np.testing.assert_array_equal(back.counts(), noisy.counts())
    np.testing.assert_allclose(back.expected(), noisy.expected())
    assert (back.kind, back.alpha, back.noise, back.num_noisy) == (
        noisy.kind, noisy.alpha, noisy.noise, noisy.num_noisy,
    )  # fmt: skip


def test_label_files_that_do_not_fit(tmp_path: Path):
    path = tmp_path / "labels.parquet"
    write_labels(DilutedSet(SMALL, 1.0), path)
    with pytest.raises(DataError, match="was made for data with hash"):
        read_labels(path, OTHER)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"^label file .* cannot be read[^\n]*$"):
        read_labels(path, SMALL)
    with pytest.raises(DataError, match="does not exist"):
        read_labels(tmp_path / "none.parquet", SMALL)


def test_an_edited_label_file_is_noticed(tmp_path: Path):
    import pyarrow.parquet as pq

    path = tmp_path / "labels.parquet"
    write_labels(DilutedSet(SMALL, 1.0), path)
    table = pq.read_table(path)
    labels = table["label"].to_numpy().copy()
    labels[100] = (labels[100] + 1) % 3
    pq.write_table(table.set_column(3, "label", [labels]), path)
    with pytest.raises(DataError, match="do not match its content hash"):
        read_labels(path, SMALL)


@pytest.mark.parametrize("alpha", [-1.0, float("inf"), float("nan")])
def test_alpha_that_cannot_be(alpha: float):
    with pytest.raises(NoiseError, match="must be a finite number ≥ 0"):
        DilutedSet(SMALL, alpha)


def test_absurd_alpha_tells_the_memory_it_would_need():
    with pytest.raises(
        NoiseError, match=r"needs a label table of 83,\d\d\d\.\d GiB.* take alpha ≤ "
    ):
        DilutedSet(SMALL, 1e12)


def test_images_of_another_shape():
    big_images = LabelledSet(np.zeros((3, 3, 9, 9), dtype=np.uint8), np.arange(3), ("a", "b", "c"))
    with pytest.raises(DataError, match="must agree"):
        DilutedSet(SMALL, 1.0, images=big_images)


def test_no_image_is_copied(big: LabelledSet):
    diluted = DilutedSet(big, 100.0)
    assert diluted.blocks[0].source is big
    assert diluted.blocks[0].labels.nbytes == 101 * 6000


def test_parts_are_the_clean_labels_and_the_noise(small: LabelledSet):
    """Mixed by the share of clean labels, what the parts expect is what the whole expects."""
    for noisy in (
        DilutedSet(small, 4.0, Pair(), seed=1),
        ReplacedSet(small, 0.5, Pair(), seed=1),
    ):
        clean, noise = noisy.clean_part(), noisy.noise_part()
        np.testing.assert_array_equal(clean.expected(), np.eye(3)[small.labels])
        np.testing.assert_array_equal(noise.expected(), np.eye(3)[(small.labels + 1) % 3])
        share = noisy.num_clean / len(noisy)
        mixed = share * clean.expected() + (1 - share) * noise.expected()
        np.testing.assert_allclose(mixed, noisy.expected())
    assert DilutedSet(small, 0.0).noise_part() is None


def test_the_noise_part_of_other_images_is_theirs(small: LabelledSet):
    other = LabelledSet(255 - small.inputs, small.labels, small.class_names)
    noisy = DilutedSet(small, 2.0, images=other)
    noise = noisy.noise_part()
    assert noise.blocks[0].source is other
    np.testing.assert_allclose(noise.expected(), 1 / 3)


def test_labels_are_written_and_read_where_a_string_says(tmp_path: Path) -> None:
    noisy = DilutedSet(SMALL, 1.0)
    path = str(tmp_path / "labels.parquet")
    content_hash = write_labels(noisy, path)
    assert read_labels(path, SMALL).content_hash() == content_hash
