"""Estimates of noise against noise that was planted, and tables that cannot be."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import dilute
from dilute.data import Annotations, LabelledSet
from dilute.errors import DataError, EstimateError
from dilute.estimation import (
    check_comparable,
    cross_validated,
    document,
    estimate_from_annotators,
    estimate_from_labels,
    estimate_from_trusted,
    read_annotations,
    read_trusted,
    write_estimate,
    write_trusted,
)
from dilute.estimation.annotators import dawid_skene
from dilute.estimation.confident import class_probabilities
from dilute.estimation.trusted import posterior_of_trusted
from dilute.laws import labels_information
from dilute.noise import Pair, Uniform, alpha_from_rate, label_laws
from dilute.noise import read_matrix as read_noise

pytestmark = pytest.mark.numerical

NAMES = tuple("0123456789")


def noisy_labels(noise, rate, num_items=4000, seed=0):
    """True classes, labels with noise, and the distribution that the labels are drawn from."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(10, size=num_items)
    alpha = alpha_from_rate(rate)
    laws = label_laws(alpha, noise.matrix(10, alpha))
    given = (laws[truth].cumsum(axis=1) > generator.random(num_items)[:, None]).argmax(axis=1)
    return truth, given, laws


def features(labels):
    """Items whose inputs mean nothing, for what looks at labels alone."""
    return LabelledSet(np.zeros((len(labels), 1), dtype=np.float32), labels, NAMES)


def table_of(truth, laws, per_item=5, num_annotators=12, seed=0):
    generator = np.random.default_rng(seed)
    items = np.repeat(np.arange(len(truth)), per_item)
    who = generator.integers(num_annotators, size=len(items))
    draws = generator.random(len(items))[:, None]
    labels = (laws[truth[items]].cumsum(axis=1) > draws).argmax(axis=1)
    return Annotations(items, who, labels, len(truth), num_annotators, 10)


# Trusted labels


@pytest.mark.parametrize("noise", [Uniform(), Pair()], ids=["uniform", "pair"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9, 0.98])
def test_trusted_labels_give_the_planted_noise_however_much(noise, rate):
    truth, given, laws = noisy_labels(noise, rate)
    rows = np.arange(0, 4000, 4)
    found = estimate_from_trusted(features(given), rows, truth[rows])
    wrong = 1 - float(np.diag(laws).mean())
    assert found.wrong_rate.low - 0.01 <= wrong <= found.wrong_rate.high + 0.01
    assert np.abs(found.laws - laws).max() < 0.1
    assert found.laws.sum(axis=1) == pytest.approx(np.ones(10))
    worth = 4000 * labels_information(laws, 1)
    assert found.worth.low - 60 <= worth <= found.worth.high + 60
    assert not found.is_doubtful


def test_intervals_from_trusted_labels_cover():
    """Nine in ten of 200; fewer than 168 would happen by chance in less than 1 of 100."""
    truth, given, laws = noisy_labels(Uniform(), 0.8, num_items=200 * 150)
    wrong = 1 - float(laws[0, 0])
    held = 0
    for part in range(200):
        rows = slice(150 * part, 150 * (part + 1))
        draws, shares, _ = posterior_of_trusted(given[rows], truth[rows], 10)
        values = [1 - float(s @ np.diag(d)) for d, s in zip(draws, shares, strict=True)]
        low, high = np.quantile(values, [0.05, 0.95])
        held += low <= wrong <= high
    assert held >= 168


def test_too_few_trusted_labels_are_refused():
    truth, given, _ = noisy_labels(Uniform(), 0.5, num_items=19)
    with pytest.raises(EstimateError, match="19 trusted labels are too few; give 20 or more"):
        posterior_of_trusted(given, truth, 10)


def test_labels_at_random_have_no_alpha_and_no_worth():
    truth, given, _ = noisy_labels(Uniform(), 1.0)
    rows = np.arange(400)
    found = estimate_from_trusted(features(given), rows, truth[rows])
    assert found.alpha.high is None
    assert found.worth.value < 40
    assert document(found)["noise"]["alpha"] > 10


# Several labels per item


@pytest.mark.parametrize(
    ("noise", "rate"), [(Uniform(), 0.3), (Uniform(), 0.55), (Pair(), 0.4)], ids=str
)
def test_annotators_give_the_planted_noise(noise, rate):
    truth, _, laws = noisy_labels(noise, rate)
    found = estimate_from_annotators(table_of(truth, laws), NAMES)
    wrong = 1 - float(np.diag(laws).mean())
    assert found.wrong_rate.value == pytest.approx(wrong, abs=0.02)
    assert np.abs(found.laws - laws).max() < 0.06
    assert not found.is_doubtful
    assert (found.rows.suggested == truth).mean() > (found.rows.given == truth).mean() - 0.01


def test_a_bad_annotator_is_found_out():
    """Nine who are right nine times in ten, and one who is never: the consensus hardly suffers."""
    truth, _, _ = noisy_labels(Uniform(), 0)
    good = label_laws(0.1 / 0.9, Uniform().matrix(10, 1))
    table = table_of(truth, good, per_item=4, num_annotators=10)
    labels = np.where(table.annotators == 9, (truth[table.items] + 1) % 10, table.labels)
    posterior, laws, _ = dawid_skene(
        Annotations(table.items, table.annotators, labels, 4000, 10, 10)
    )
    assert (posterior.argmax(axis=1) == truth).mean() > 0.985
    assert 1 - np.diag(laws).mean() == pytest.approx(
        (labels != truth[table.items]).mean(), abs=0.01
    )


def test_what_labels_cannot_tell_is_not_to_be_trusted():
    truth, _, laws = noisy_labels(Uniform(), 0.9)
    found = estimate_from_annotators(table_of(truth, laws, per_item=3), NAMES)
    assert found.is_doubtful
    assert found.warnings[0].startswith("not to be trusted: the labels of an item make its class")


def test_annotators_with_one_label_each_are_refused():
    with pytest.raises(EstimateError, match="all 3 annotators have one label each"):
        check_comparable(
            Annotations(np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([1, 1, 0]), 2, 3, 2)
        )
    with pytest.raises(EstimateError, match="1 items have more than one label"):
        check_comparable(
            Annotations(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([1, 1, 0]), 2, 2, 2)
        )


# Labels alone


def test_confident_learning_on_perfect_predictions():
    truth, given, laws = noisy_labels(Uniform(), 0.3, num_items=20_000)
    found = estimate_from_labels(features(given), laws[truth])
    assert found.wrong_rate.value == pytest.approx((given != truth).mean(), abs=0.02)
    assert not found.is_doubtful
    flagged = found.rows.wrong > 0.5
    assert ((given != truth) == flagged).mean() > 0.99


def test_much_noise_in_labels_alone_is_not_to_be_trusted():
    truth, given, laws = noisy_labels(Uniform(), 0.7)
    found = estimate_from_labels(features(given), laws[truth])
    assert found.is_doubtful
    assert "get trusted labels" in found.warnings[0]


def test_classes_are_unmixed_from_predictions_of_labels():
    _, _, laws = noisy_labels(Uniform(), 0.5)
    classes = np.random.default_rng(0).dirichlet(np.full(10, 0.3), size=50)
    found = class_probabilities(classes @ laws, laws)
    assert found @ laws == pytest.approx(classes @ laws, abs=0.01)
    assert (found.argmax(axis=1) == classes.argmax(axis=1)).mean() > 0.9


def test_cross_validated_predictions_have_not_seen_their_label():
    """Labels at random cannot be predicted; were they seen, they would be."""
    digits = dilute.load("digits").train
    rows = np.arange(600)
    generator = np.random.default_rng(0)
    at_random = LabelledSet(
        digits.inputs[rows], generator.integers(10, size=600), digits.class_names
    )
    predictions = cross_validated(at_random, "mlp1")
    assert predictions.sum(axis=1) == pytest.approx(np.ones(600))
    assert (predictions.argmax(axis=1) == at_random.labels).mean() < 0.16
    real = LabelledSet(digits.inputs[rows], digits.labels[rows], digits.class_names)
    assert (cross_validated(real, "mlp1").argmax(axis=1) == real.labels).mean() > 0.85
    with pytest.raises(DataError, match="30 items are too few for cross-validation"):
        cross_validated(
            LabelledSet(digits.inputs[:30], digits.labels[:30], digits.class_names), "mlp1"
        )


# Files


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_tables_are_read(tmp_path):
    path = write(tmp_path / "t.csv", "row,label", "3,cat", "0,dog", "2,1")
    rows, labels = read_trusted(path, 4, ("cat", "dog"))
    assert rows.tolist() == [3, 0, 2]
    assert labels.tolist() == [0, 1, 1]
    path = write(tmp_path / "f.csv", "label,file", "dog,b/2.png")
    assert read_trusted(path, 2, ("cat", "dog"), ["a/1.png", "b/2.png"])[0].tolist() == [1]
    lines = [
        f"{item},{who},{'x' if who == 'ann' else 'y'}"
        for item in range(12)
        for who in ("ann", "bob")
    ]
    table, names, classes = read_annotations(
        write(tmp_path / "a.csv", "item,annotator,label", *lines)
    )
    assert (table.num_items, table.num_annotators, classes) == (12, 2, ("x", "y"))
    assert names[:3] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("row,label", "4,cat"), r"names 1 items that the data do not have \(4\); rows are 0 to 3"),
        (("row,label", "x,cat"), r"names 1 items that the data do not have \(x\)"),
        (
            ("row,label", "1,cow"),
            r"has 1 labels that are no class \(cow\); classes are cat, dog, or 0 to 1",
        ),
        (("row,label", "1,cat", "1,dog"), "names row 1 more than once"),
        (("file,label", "1,cat"), "names files, but these data have rows alone"),
        (("row,truth", "1,cat"), "has the columns row, truth; it must have label and row"),
        (("row,label", "1"), "line 2 has 1 cells; the first line has 2"),
        (("row,label",), "has no rows"),
    ],
)
def test_trusted_files_that_cannot_be(tmp_path, lines, message):
    with pytest.raises(EstimateError, match=message):
        read_trusted(write(tmp_path / "t.csv", *lines), 4, ("cat", "dog"))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(EstimateError, match="does not exist"):
        read_trusted(tmp_path / "none.csv", 4, ("cat", "dog"))
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EstimateError, match="cannot be read as CSV"):
        read_trusted(tmp_path / "b.csv", 4, ("cat", "dog"))
    path = write(tmp_path / "a.csv", "item,label", "1,2")
    with pytest.raises(EstimateError, match="lacks the column annotator"):
        read_annotations(path)
    path = write(tmp_path / "a.csv", "item,annotator,label", "9,ann,cat")
    with pytest.raises(EstimateError, match="rows are 0 to 3"):
        read_annotations(path, 4, ("cat", "dog"))
    with pytest.raises(EstimateError, match="one label alone, cat"):
        read_annotations(path)


def test_an_estimate_is_handed_on(tmp_path):
    truth, given, laws = noisy_labels(Pair(), 0.4)
    rows = np.arange(1000)
    found = estimate_from_trusted(features(given), rows, truth[rows], predictions=laws[truth])
    files = write_estimate(found, tmp_path, [f"item-{row}" for row in range(4000)])
    numbers = json.loads((tmp_path / "estimate.json").read_text())
    alpha, matrix = found.noise()
    assert numbers["noise"]["alpha"] == pytest.approx(alpha)
    assert label_laws(alpha, matrix) == pytest.approx(found.laws, abs=1e-9)
    again = np.array(read_noise(tmp_path / "noise.json"))
    assert again == pytest.approx(matrix)
    assert (tmp_path / "matrix.png").read_bytes()[:4] == b"\x89PNG"
    with (tmp_path / "rows.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == numbers["probably_wrong"]
    chosen = np.array([int(line["row"]) for line in lines])
    assert (given[chosen] != truth[chosen]).mean() > 0.95
    assert lines[0]["name"] == f"item-{chosen[0]}"
    assert set(files) == {"numbers", "noise", "picture", "rows"}


def test_paths_may_be_strings(tmp_path):
    digits = dilute.load("digits").train
    rows = np.arange(40)
    truth = digits.labels[rows]
    write(tmp_path / "trusted.csv", "row,label", *(f"{row},{truth[row]}" for row in rows))
    read = read_trusted(str(tmp_path / "trusted.csv"), len(digits), digits.class_names)
    assert np.array_equal(read, (rows, truth))
    lines = (f"{item},{who},{item % 2}" for item in range(10) for who in "ab")
    write(tmp_path / "annotations.csv", "item,annotator,label", *lines)
    assert read_annotations(str(tmp_path / "annotations.csv"))[0].num_items == 10
    found = estimate_from_trusted(digits, rows, truth)
    files = write_estimate(found, str(tmp_path / "new" / "folder"))
    write_trusted(digits, rows, truth, str(tmp_path / "trusted.npz"))
    assert {Path(name).parent for name in files.values()} == {tmp_path / "new" / "folder"}
    assert all(Path(name).exists() for name in (*files.values(), tmp_path / "trusted.npz"))


def test_trusted_items_are_a_data_set(tmp_path):
    digits = dilute.load("digits").train
    rows = np.arange(0, 500, 2)
    write_trusted(digits, rows, digits.labels[rows], tmp_path / "trusted.npz")
    again = dilute.load(f"npz:{tmp_path / 'trusted.npz'}").whole()
    assert np.array_equal(again.inputs, digits.inputs[rows])
    assert np.array_equal(again.labels, digits.labels[rows])


def test_data_in_one_piece_are_whole_again(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    labels = np.arange(60) % 3
    np.savez(tmp_path / "own.npz", x=images, y=labels)
    for _ in range(2):  # decoded, and from the cache
        splits = dilute.load(f"npz:{tmp_path / 'own.npz'}")
        assert len(splits.train) == 48
        whole = splits.whole()
        assert np.array_equal(whole.inputs[:, 0], images)
        assert np.array_equal(whole.labels, labels)
    known = dilute.load("digits")
    assert known.whole() is known.train
