"""Estimates of noise against noise that was planted, and tables that cannot be."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

import dilute
from dilute.data import Annotations, LabelledSet
from dilute.errors import DataError, EstimateError
from dilute.estimation import (
    check_comparable,
    cleaned,
    cross_validated,
    document,
    estimate_from_annotators,
    estimate_from_labels,
    estimate_from_trusted,
    read_annotations,
    read_estimate,
    read_trusted,
    write_estimate,
    write_trusted,
)
from dilute.estimation.annotators import dawid_skene, quality
from dilute.estimation.confident import class_probabilities
from dilute.estimation.noise_estimate import exact_share
from dilute.estimation.trusted import posterior_of_trusted
from dilute.laws import labels_information
from dilute.noise import Pair, Uniform, alpha_from_rate, label_laws, read_matrix

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
    alpha = document(found)["alpha"]["value"]
    assert alpha is None or alpha > 10


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
    annotations = Annotations(table.items, table.annotators, labels, 4000, 10, 10)
    best = dawid_skene(annotations)
    assert (best.posterior.argmax(axis=1) == truth).mean() > 0.985
    assert 1 - np.diag(best.law).mean() == pytest.approx(
        (labels != truth[table.items]).mean(), abs=0.01
    )
    found = quality(annotations, best)
    assert [one.quality for one in found[:9]] == pytest.approx([0.91] * 9, abs=0.03)
    assert found[9].quality < 0.15
    assert np.allclose(best.annotator_laws.sum(axis=2), 1)
    assert best.annotator_laws[9][3].argmax() == 4


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
    path = write(tmp_path / "t.csv", "row,label", "3,cat", "0,dog", "2,dog")
    rows, labels = read_trusted(path, 4, ("cat", "dog"))
    assert rows.tolist() == [3, 0, 2]
    assert labels.tolist() == [0, 1, 1]
    path = write(tmp_path / "n.csv", "row,label", "3,0", "0,1", "2,1")
    assert read_trusted(path, 4, ("cat", "dog"))[1].tolist() == [0, 1, 1]
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
    more = [*lines, "0,cy,", "1,cy,NaN", "2,cy,null"]
    table, _, classes = read_annotations(write(tmp_path / "m.csv", "item,annotator,label", *more))
    assert (len(table), table.num_annotators, classes) == (24, 2, ("x", "y"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("row,label", "4,cat"), r"names 1 items that the data do not have \(4\); rows are 0 to 3"),
        (("row,label", "x,cat"), r"names 1 items that the data do not have \(x\)"),
        (
            ("row,label", "1,cow"),
            r"has 1 labels that are no class \(cow\); classes are cat, dog, or all labels",
        ),
        (("row,label", "1,cat", "2,1"), r"has 1 labels that are no class \(1\); classes are cat"),
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
    noise = read_matrix(tmp_path / "noise.json")
    assert (noise.kind, noise.class_names) == ("added noise", NAMES)
    alpha = json.loads((tmp_path / "noise.json").read_text())["alpha"]
    assert alpha == numbers["alpha"]["value"] == found.alpha.value
    assert label_laws(alpha, np.array(noise.rows)) == pytest.approx(found.laws, abs=1e-5)
    law = read_matrix(tmp_path / "law.csv")
    assert (law.kind, law.class_names) == ("law", NAMES)
    assert np.array(law.rows) == pytest.approx(found.laws, abs=1e-6)
    assert (tmp_path / "matrix.png").read_bytes()[:4] == b"\x89PNG"
    assert set(files) == {"numbers", "law", "noise", "picture", "cleaned"}
    with (tmp_path / "cleaned.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["row"] for line in lines] == [str(row) for row in range(4000)]
    assert lines[7]["name"] == "item-7"
    assert (
        sum(float(line["probability_wrong"]) > 0.5 for line in lines) == numbers["probably_wrong"]
    )
    right = {
        action: np.mean(
            [
                line["label"] == NAMES[truth[int(line["row"])]]
                for line in lines
                if line["action"] == action
            ]
        )
        for action in ("keep", "fix")
    }
    assert min(right.values()) > 0.95
    assert all(line["label"] == "" for line in lines if line["action"] == "drop")


def test_an_estimate_is_read_back_for_its_own_labels_alone(tmp_path):
    truth, given, laws = noisy_labels(Pair(), 0.4)
    labelled, rows = features(given), np.arange(1000)
    found = estimate_from_trusted(labelled, rows, truth[rows], predictions=laws[truth])
    write_estimate(found, tmp_path)
    read = read_estimate(tmp_path, labelled)
    assert read.law == pytest.approx(found.laws, abs=1e-6)
    assert read.wrong_rate == found.wrong_rate
    assert read.annotator_laws is None
    part = read.cleaned(labelled)
    assert len(part) == len(labelled) - (cleaned(found.rows).action == "drop").sum()
    with pytest.raises(EstimateError, match="an estimate of other labels than these"):
        read_estimate(tmp_path, features((given + 1) % 10))
    with pytest.raises(EstimateError, match=r"has no estimate\.json; give the folder"):
        read_estimate(tmp_path / "elsewhere", labelled)
    lines = (tmp_path / "cleaned.csv").read_text().splitlines()
    (tmp_path / "cleaned.csv").write_text("\n".join(lines[:-5]))
    with pytest.raises(EstimateError, match="has 3995 rows, and the data 4000"):
        read.cleaned(labelled)
    (tmp_path / "cleaned.csv").write_text("\n".join(lines).replace(",keep,", ",stay,"))
    with pytest.raises(EstimateError, match="other than keep, fix and drop"):
        read.cleaned(labelled)
    (tmp_path / "cleaned.csv").unlink()
    with pytest.raises(EstimateError, match="estimate again without --no-rows"):
        read.cleaned(labelled)
    (tmp_path / "estimate.json").write_text("{")
    with pytest.raises(EstimateError, match="cannot be read"):
        read_estimate(tmp_path, labelled)


def test_annotators_and_their_laws_are_written_and_read_back(tmp_path):
    truth, _, laws = noisy_labels(Uniform(), 0.3)
    table = table_of(truth, laws)
    table = dataclasses.replace(
        table, annotator_names=tuple(f"person {k}" for k in range(table.num_annotators))
    )
    labelled = dataclasses.replace(features(table.most_frequent()), annotations=table)
    found = estimate_from_annotators(table, NAMES, labels_hash=labelled.labels_hash)
    files = write_estimate(found, tmp_path)
    assert {"annotators", "annotator_laws", "cleaned"} <= set(files)
    with (tmp_path / "annotators.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["annotator"] for line in lines] == list(table.names)
    assert sum(int(line["labels"]) for line in lines) == len(table)
    assert read_estimate(tmp_path, labelled).annotator_laws == pytest.approx(found.annotator_laws)
    agreement = found.rows.agreement
    assert agreement.min() >= 0
    assert agreement.max() == 1
    write_estimate(estimate_from_trusted(labelled, np.arange(40), truth[:40]), tmp_path)
    assert not (tmp_path / "annotators.csv").exists(), "what an earlier estimate left is gone"


@pytest.mark.parametrize(("number", "bound"), [(200, 0.0149), (20, 0.1391)])
def test_no_wrong_label_among_trusted_ones_is_no_proof(number, bound):
    """The ends are those of the exact one-sided 95 % bound, 1 - 0.05^(1/n)."""
    truth = np.arange(600) % 10
    found = estimate_from_trusted(features(truth), np.arange(number), truth[:number])
    assert found.wrong_rate.value == 0
    assert found.wrong_rate.low == 0
    assert found.wrong_rate.high == pytest.approx(bound, abs=1e-4)
    assert found.alpha.value == 0
    assert found.alpha.high == pytest.approx(bound / 0.9 / (1 - bound / 0.9), abs=1e-3)
    assert found.worth.low < found.worth.value <= 600


def test_the_exact_interval_holds_as_often_as_it_says():
    """Of 400 samples at each of five shares, 90 % or more; a true 85 % would fail nearly surely."""
    generator = np.random.default_rng(0)
    for share in (0.01, 0.05, 0.2, 0.5, 0.8):
        found = [exact_share(int(k), 100) for k in generator.binomial(100, share, 400)]
        held = np.mean([one.low <= share <= one.high for one in found])
        assert held > 0.9 - 3 * math.sqrt(0.09 / 400)


def test_classes_of_few_items_are_named_and_not_known():
    truth = np.concatenate([np.arange(400) % 2, np.full(3, 2)])
    predictions = np.full((403, 3), 0.01) + 0.97 * np.eye(3)[np.minimum(truth, 1)]
    inputs = np.zeros((403, 4), dtype=np.float32)
    found = estimate_from_labels(LabelledSet(inputs, truth, ("ant", "bee", "cat")), predictions)
    assert any("1 of 3 classes have fewer than 10 items" in one for one in found.warnings)
    assert any("cat" in one for one in found.warnings)
    assert found.wrong_rate.value < 0.01
    assert found.alpha.value < 0.05
    few = LabelledSet(inputs[:12], truth[:12], ("ant", "bee"))
    with pytest.raises(EstimateError, match="it takes two such classes"):
        estimate_from_labels(few, predictions[:12, :2])


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
