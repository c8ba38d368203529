from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from threadpoolctl import threadpool_limits
from torch import nn

from dilute.data import LabelledSet, Splits, WhiteNoise
from dilute.dilution import DilutedSet, NoisySet, ReplacedSet
from dilute.errors import SpecError
from dilute.interruption import Interrupted
from dilute.methods import METHOD_NAMES, Observed, TensorBatch, cross_entropy, graph, make_method
from dilute.methods.pooling import _regressing, pooled
from dilute.models import build
from dilute.noise import Pair, law_log_likelihood
from dilute.runs import RunSpec
from dilute.training import Recipe, Scaled, evaluate, load_weights, train

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _small():
    """Few filters, and one thread: several take longer to meet than such small sets take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        patch.setattr("dilute.methods.patches._FILTERS", 16)
        yield
    torch.set_num_threads(before)


def points(size: int, dimensions: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(size, dimensions)).astype(np.float32)


@pytest.mark.parametrize(("size", "neighbours"), [(40, 4), (200, 10), (5, 10), (2, 1), (1, 10)])
def test_the_walk_leads_to_the_nearest_by_brute_force(size: int, neighbours: int):
    """With support both ways and rows that sum to 1; also with fewer images than neighbours."""
    here = points(size)
    walk = graph.walk_between(here, neighbours)
    distance = np.linalg.norm(here[:, None].astype(float) - here[None], axis=2)
    nearest = np.argsort(distance, axis=1)[:, : neighbours + 1]
    edges = np.zeros((size, size))
    np.put_along_axis(edges, nearest, 1.0, axis=1)
    edges += edges.T
    np.testing.assert_allclose(walk.toarray(), edges / edges.sum(axis=1, keepdims=True), rtol=1e-6)


def test_each_image_is_joined_to_itself_also_among_equal_ones():
    assert (graph.walk_between(np.zeros((40, 3), dtype=np.float32), 3).diagonal() > 0).all()


def test_spreading_is_a_power_of_the_walk_and_keeps_constants():
    walk, values = graph.walk_between(points(50), 4), points(50)
    power = np.linalg.matrix_power(walk.toarray().astype(float), 7)
    np.testing.assert_allclose(graph.spread(walk, values, 7), power @ values, atol=1e-5)
    constant = np.tile(np.float32([0.5, -2.0]), (50, 1))
    np.testing.assert_allclose(graph.spread(walk, constant, 64), constant, rtol=1e-5)


def test_principal_components_keep_the_largest_distances():
    here = points(60, 5) * np.float32([9, 5, 1, 0, 0])
    for kept in (graph.principal(here, 3), graph.principal(here, 50)):
        distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (kept, here)]
        np.testing.assert_allclose(*distances, atol=1e-3)
    assert graph.principal(here, 2).var(axis=0).sum() > 0.95 * here.var(axis=0).sum()


@pytest.mark.parametrize("size", [1, 3])
def test_blank_images_have_a_walk(size: int):
    blank = LabelledSet(np.zeros((3, 1, 4, 4), dtype=np.uint8), np.array([0, 1, 1]), ("a", "b"))
    observed = Observed(DilutedSet(blank, 2.0, rows=np.arange(size)))
    basis = graph.basis_of(observed, "pixels", 50, 10, 0)
    np.testing.assert_allclose(basis.walk.toarray(), 1 / size)


def test_the_remembered_walk_is_that_of_the_same_images_alone(digits: Splits):
    def walk(rows, alpha: float = 1.0, seed: int = 0, dimensions: int = 8, neighbours: int = 5):
        noisy = DilutedSet(digits.train, alpha, seed=seed, rows=rows)
        return graph.basis_of(Observed(noisy), "pixels", dimensions, neighbours, 0).walk

    rows = np.arange(60)
    first = walk(rows)
    assert walk(rows, alpha=3.5, seed=1) is first, "labels do not enter"
    others = [walk(rows + 1), walk(rows[::-1]), walk(rows, dimensions=2), walk(rows, neighbours=6)]
    assert all((other != first).nnz for other in others)
    assert not (walk(rows) != first).nnz


def test_remembered_walks_do_not_hold_the_images():
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)
    clean = LabelledSet(images, np.arange(40) % 2, ("a", "b"))
    kept = weakref.ref(clean)
    graph.basis_of(Observed(DilutedSet(clean, 1.0)), "pixels", 5, 3, 0)
    del clean
    gc.collect()
    assert kept() is None


def test_few_bases_are_remembered(digits: Splits):
    for start in range(4):
        noisy = DilutedSet(digits.train, 1.0, rows=np.arange(start, start + 20))
        graph.basis_of(Observed(noisy), "pixels", 5, 3, 0)
    assert len(graph._KEPT) == 2


@pytest.mark.parametrize("size", [3, 60])
def test_what_an_image_says_never_reaches_its_own_prediction(size: int):
    """For any number of hops, which return to the image, and in regression; it reaches others."""
    here, values = points(size), points(size, 4)
    walk = graph.walk_between(here, 5)
    before = {hops: got.copy() for hops, got in graph.from_other_folds(walk, values, 0)}
    for image in range(0, size, 7):
        changed = values.copy()
        changed[image, 0] += 10
        for hops, after in graph.from_other_folds(walk, changed, 0):
            np.testing.assert_array_equal(after[image], before[hops][image])
            assert (after != before[hops]).any()
        for old, new in zip(*(_regressing(here, x, 0) for x in (values, changed)), strict=True):
            np.testing.assert_allclose(new[image], old[image], atol=1e-5)
            assert np.abs(new - old).max() > 1e-3


def blobs(law: np.ndarray, labels_each: int):
    """Return classes of 120 points each in clouds far apart, their walk, and counts from `law`."""
    truth = np.repeat(np.arange(len(law)), 120)
    generator = np.random.default_rng(1)
    here = generator.normal(size=(len(truth), 2)) + 8 * np.stack([truth, truth % 2], axis=1)
    counts = generator.multinomial(labels_each, law[truth])
    return truth, graph.walk_between(here.astype(np.float32), 8), counts


WEAK = np.array([[0.45, 0.3, 0.25], [0.25, 0.45, 0.3], [0.3, 0.25, 0.45]])
# Label 0 is the likeliest one of every class.
SKEWED = np.array([[0.7, 0.1, 0.2], [0.5, 0.3, 0.2], [0.5, 0.1, 0.4]])


@pytest.mark.parametrize("law", [WEAK, SKEWED], ids=["weak", "skewed"])
def test_pooling_recovers_classes_that_single_images_do_not_tell(law):
    """With a matrix from pooled likelihoods; without one from what is frequent beyond the usual."""
    truth, walk, counts = blobs(law, 2)
    scores = law_log_likelihood(counts, law)
    posterior = pooled(scores, 0, [walk])
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == truth).mean() < 0.65
    assert (posterior.argmax(axis=1) == truth).mean() > 0.95
    assert (graph.pooled_classes(walk, counts, 0) == truth).mean() > 0.9
    assert posterior[np.arange(360), truth].mean() > 0.9, "it knows that it knows"


def test_pooled_posteriors_ignore_a_number_per_image_and_are_flat_without_evidence():
    _, walk, counts = blobs(WEAK, 2)
    scores = law_log_likelihood(counts, WEAK)
    shifted = scores + 50 * points(360, 1)
    np.testing.assert_allclose(pooled(shifted, 0, [walk]), pooled(scores, 0, [walk]), atol=1e-3)
    np.testing.assert_allclose(pooled(np.zeros((360, 3)), 0, [walk]), 1 / 3)
    alone = graph.walk_between(points(1), 5)
    np.testing.assert_allclose(pooled(np.array([[0.0, -1.0]]), 0, [alone]), [expit([1, -1])])
    assert graph.pooled_classes(alone, np.array([[0, 3]]), 0).shape == (1,)


class Telling(nn.Module):
    """Sees of an image of `small`, by its number, the class written down, and predicts nothing."""

    def __init__(self, labels) -> None:
        super().__init__()
        self.register_buffer("written", torch.eye(3)[torch.as_tensor(labels)])
        self.last = nn.Linear(3, 3)

    def forward(self, inputs):
        return self.last(self.written[inputs.flatten(1)[:, 0].long()])


@pytest.mark.parametrize("name", ["rounds_known", "rounds_estimated"])
def test_rounds_pool_by_pixels_first_and_then_by_features(small: LabelledSet, name: str):
    """Pixels are near in the order of images; where classes are not, only features tell them."""
    shuffled = replace(small, labels=np.random.default_rng(0).permutation(small.labels))
    noisy = DilutedSet(shuffled, 2.0, seed=1)
    method = make_method(name, rounds=1, neighbours=5, features="pixels")
    objective = method.objective(Observed(noisy), None, 0)

    def right() -> float:
        posterior = objective.posterior.numpy()
        np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-5)
        return (posterior.argmax(axis=1) == shuffled.labels).mean()

    model = Telling(shuffled.labels)
    objective.before_step(0, 10, model)
    by_pixels, before = right(), objective.posterior.clone()
    objective.before_step(4, 10, model)
    assert torch.equal(objective.posterior, before)
    objective.before_step(5, 10, model)
    assert by_pixels < 0.8
    assert right() > 0.9
    images = torch.tensor([3, 50, 89])
    inputs, targets = torch.from_numpy(small.inputs[images]), torch.eye(3)
    loss = objective(model, TensorBatch(inputs, targets, torch.ones(3), images))
    expected = cross_entropy(model(inputs), objective.posterior[images]).mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("name", ["neighbours_known", "neighbours_estimated"])
def test_pooling_digits_by_pixels_beats_their_most_frequent_labels(digits: Splits, name: str):
    noisy = DilutedSet(digits.train, 12.0, rows=np.arange(500))
    objective = make_method(name).objective(Observed(noisy), None, 0)
    objective.before_step(0, 10, None)
    assert (noisy.counts().argmax(axis=1) == noisy.true_labels).mean() < 0.6
    assert (objective.posterior.argmax(dim=1).numpy() == noisy.true_labels).mean() > 0.9


def fresh(clean: LabelledSet) -> Scaled:
    torch.manual_seed(0)
    return Scaled(build("mlp1", clean.input_shape, clean.num_classes), *clean.statistics())


def trained(noisy: NoisySet, name: str, **options):
    model, rounds = fresh(noisy.clean), {"rounds": 1} if name.startswith("rounds") else None
    recipe = Recipe(method=name, method_options=rounds, batch_size=32, budget_steps=20)
    outcome = train(model, noisy, recipe, seed=0, device=CPU, **options)
    assert outcome.status == "done"
    return model.state_dict()


@cache
def some(kind: str, clean: LabelledSet) -> NoisySet:
    rows = np.arange(0, 1200, 4)
    diluted, replaced = DilutedSet(clean, 3.0, rows=rows), ReplacedSet(clean, 0.5, rows=rows)
    return diluted if kind == "dilution" else replaced


@cache
def uninterrupted(kind: str, clean: LabelledSet, name: str):
    return trained(some(kind, clean), name)


def assert_same_bits(first: dict, second: dict) -> None:
    assert all(torch.equal(first[name], second[name]) for name in first)


def scrambled(noisy: NoisySet, *, matrix_is_known: bool) -> NoisySet:
    """Return the same images and labels, another truth; and another noise, if it is unknown."""
    random, block = np.random.default_rng(1), noisy.blocks[0]
    clean = replace(noisy.clean, labels=random.permutation(noisy.clean.labels))
    blind = replace(
        block,
        source=clean,
        is_own=random.random(len(block)) < 0.5,
        law_of=random.permutation(block.law_of),
        laws=block.laws if matrix_is_known else random.dirichlet(np.ones(10), 10),
    )
    pattern, amount = (noisy.noise, noisy.amount) if matrix_is_known else (Pair(), 0.1)
    return NoisySet(clean, noisy.kind, amount, pattern, noisy.seed, (blind,))


BOTH = pytest.mark.parametrize("kind", ["dilution", "replacement"])


@BOTH
@pytest.mark.parametrize("name", METHOD_NAMES)
def test_no_method_sees_which_labels_are_right(digits: Splits, kind: str, name: str):
    noisy, uses = some(kind, digits.train), make_method(name).uses
    other = scrambled(noisy, matrix_is_known=uses in ("known matrix", "known noise rate"))
    assert np.abs(other.expected() - noisy.expected()).sum(axis=1).mean() > 0.2
    assert other.num_clean < noisy.num_clean
    np.testing.assert_array_equal(other.counts(), noisy.counts())
    assert_same_bits(uninterrupted(kind, digits.train, name), trained(other, name))


@pytest.mark.parametrize("kind", ["dilution", pytest.param("replacement", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "step"),
    [(n, s) for n in METHOD_NAMES for s in (4, 10, 13) if s != 10 or make_method(n).looks],
)
def test_every_method_resumes_bit_by_bit(digits: Splits, tmp_path, kind: str, name: str, step: int):
    """Before the first look, just before one, and after."""
    noisy, steps = some(kind, digits.train), iter(range(1, 21))
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        trained(noisy, name, checkpoint=path, should_stop=lambda: next(steps) == step)
    graph._KEPT.clear()
    resumed = trained(noisy, name, checkpoint=path)
    assert_same_bits(uninterrupted(kind, digits.train, name), resumed)


def test_the_second_network_starts_elsewhere_and_is_trained(digits: Splits, tmp_path):
    noisy, model, path = some("dilution", digits.train), fresh(digits.train), tmp_path / "c"
    start = make_method("co_teaching").objective(Observed(noisy), model, 0).second.state_dict()
    with pytest.raises(Interrupted):
        trained(noisy, "co_teaching", checkpoint=path, should_stop=lambda: True)
    after, _ = load_weights(path)
    for name, first in model.named_parameters():
        assert not torch.equal(start[name], first)
        assert not torch.equal(start[name], after[f"method/second.{name}"])


def test_mixup_takes_images_in_colour(digits: Splits):
    colour = replace(digits.train, inputs=np.repeat(digits.train.inputs[:], 3, axis=1))
    trained(DilutedSet(colour, 1.0, rows=np.arange(40)), "mixup")


ELSEWHERE = [
    (n, g) for n in METHOD_NAMES for g in (0, 1) if not g or make_method(n).uses == "known matrix"
]


@pytest.mark.parametrize(("name", "is_given"), ELSEWHERE)
def test_images_from_elsewhere_are_refused_or_trained_on(digits, name, is_given):
    """Refused by methods for images of one source, also if their matrix is given."""
    noisy = DilutedSet(digits.train, 2.0, images=WhiteNoise(digits.train, 0), rows=np.arange(60))
    if make_method(name).images_from_elsewhere:
        trained(noisy, name)
        return
    options = {"matrix": np.eye(10).tolist()} if is_given else {}
    with pytest.raises(SpecError, match=r"^[^\n]*noisy_images = same[^\n]*$"):
        make_method(name, **options).objective(Observed(noisy), fresh(digits.train), 0)


@pytest.mark.parametrize("shift", [0, 35])
@pytest.mark.parametrize("logits", [40 * np.eye(3), np.log(0.25 * np.eye(3) + 0.25)])
def test_mixed_nll_is_the_least_over_all_shares(small: LabelledSet, shift: int, logits):
    """Of predictions sure of the class, or of its labels' law; the right classes, or wrong ones."""
    noisy = DilutedSet(small, 3.0)
    model = Telling(np.roll(small.labels, shift))
    model.last.weight.data, model.last.bias.data = torch.tensor(logits).float(), torch.zeros(3)
    score = evaluate(model, noisy, CPU, mixes=True)
    counts, predicted = noisy.counts(), softmax(logits, axis=1)[np.roll(small.labels, shift)]
    frequencies = counts.sum(axis=0) / counts.sum()
    mixed = [s * predicted + (1 - s) * frequencies for s in expit(np.linspace(-16, 16, 10_001))]
    least = min(-(counts * np.log(one)).sum() for one in mixed) / counts.sum()
    assert score.mixed_nll == pytest.approx(least, abs=1e-6)
    entropy = -(frequencies * np.log(frequencies)).sum()
    assert score.mixed_nll <= min(score.nll, entropy) + 1e-6
    assert replace(score, mixed_nll=None) == evaluate(model, noisy, CPU)


def test_what_no_method_can_be_is_said():
    for name, options, said in [
        ("elrr", {}, "unknown method 'elrr'; did you mean elr"),
        ("gce", {"beta": 1}, "beta has no meaning for method gce, which takes q"),
        ("mae", {"q": 1}, "q has no meaning for method mae, which takes no options"),
        ("gce", {"q": 0}, "q = 0: it should be greater than 0"),
        ("elr", {"memory": 1.0}, "memory = 1.0: it should be less than 1"),
        ("mixup", {"concentration": float("inf")}, "concentration = inf"),
        ("em_estimated", {"rounds": "many"}, "rounds = 'many'"),
        (
            "em_known",
            {"rounds": 2},
            "rounds has no meaning for method em_known, which takes matrix",
        ),
        ("em", {"matrix": "known", "rounds": 2}, "rounds has no meaning with a known matrix"),
        ("forward_known", {"quantile": 0.9}, "quantile has no meaning for method forward_known"),
        ("forward_known", {"matrix": "estimated"}, "forward_known has a known matrix"),
        ("forward_estimated", {"matrix": [[1]]}, "matrix has no meaning for method forward_est"),
        ("forward", {"matrix": [[1]], "quantile": 0.9}, "quantile has no meaning with a known"),
        (
            "forward",
            {"matrix": "knwon"},
            "matrix = 'knwon': it must be known, estimated, or K rows",
        ),
    ]:
        with pytest.raises(SpecError, match=rf"^[^\n]*{said}[^\n]*$"):
            make_method(name, **options)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_defaults_that_are_given_change_nothing(name: str):
    method = make_method(name)
    unused = method.only_estimated if method.uses == "known matrix" else {"matrix"}
    defaults = method.model_dump(mode="json", exclude=unused)
    base = {"data": "mnist", "model": "mlp1", "method": name}
    plain, given = RunSpec(**base), RunSpec(**base, method_options=defaults)
    assert (plain, plain.canonical(), plain.key()) == (given, given.canonical(), given.key())
    assert "method_options" not in plain.canonical()
    assert Recipe(method="gce", method_options={"q": 1}).method_options == {"q": 1.0}
