from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn
from torch.nn import functional

from dilute import noise
from dilute.data import LabelledSet
from dilute.dilution import DilutedSet, NoisySet, ReplacedSet
from dilute.errors import SpecError
from dilute.methods import (
    METHOD_NAMES,
    METHODS,
    LossMethod,
    Observed,
    TensorBatch,
    cross_entropy,
    make_method,
)
from dilute.methods.em import fitted_law
from dilute.methods.looking import features, look_steps, probabilities
from dilute.methods.matrices import anchor_law, counted_law
from dilute.noise import read_matrix, write_law

pytestmark = pytest.mark.numerical

LOSSES = [name for name, method in METHODS.items() if issubclass(method, LossMethod)]
GIVEN = [name for name in METHOD_NAMES if make_method(name).uses == "known matrix"]
# The likeliest label of class 0 is wrong, so that what takes labels at their word misses it.
MATRIX = np.array([[0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.2, 0.1, 0.7]])
PATTERN = noise.Confusion(rows=tuple(map(tuple, MATRIX)))
LAW = noise.label_laws(4.0, MATRIX)
IDENTITY = nn.Identity()


class Table(nn.Module):
    """Logits looked up by the image's first pixel, which in `small` is its number."""

    def __init__(self, logits) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits).double())

    def forward(self, inputs):
        return self.logits[inputs.flatten(1)[:, 0].long()]


def case(num_classes: int = 5, size: int = 6):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(size, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(num_classes, (size,), generator=generator)
    return logits, labels, functional.one_hot(labels, num_classes).double()


def batch_of(inputs, targets, weights=1.0, images=None) -> TensorBatch:
    images = torch.arange(len(inputs)) if images is None else images
    return TensorBatch(inputs, targets, weights * torch.ones(len(inputs)), images)


def objective_of(name: str, noisy: NoisySet, model: nn.Module = IDENTITY, **options):
    return make_method(name, **options).objective(Observed(noisy), model, 0)


@pytest.fixture(scope="module")
def noisy(small: LabelledSet) -> NoisySet:
    return DilutedSet(small, 4.0, PATTERN)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_the_mean_over_labels_whatever_their_grouping(noisy, name: str):
    """Six labels, two on one image and four on another, against the six on their own."""
    logits, _, targets = case()
    singles = make_method(name).losses(logits[[0, 0, 1, 1, 1, 1]], targets)
    grouped = torch.stack([targets[:2].mean(dim=0), targets[2:].mean(dim=0)])
    batch = batch_of(logits[:2], grouped, torch.tensor([2 / 3, 4 / 3]).double())
    torch.testing.assert_close(objective_of(name, noisy)(IDENTITY, batch), singles.mean())


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_at_extreme_logits(name: str):
    rows = [[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.0, 0.0]]
    logits = torch.tensor(rows, requires_grad=True)
    for label in torch.eye(3):
        losses = make_method(name).losses(logits, label.expand(3, 3))
        (gradient,) = torch.autograd.grad(losses.sum(), logits)
        assert losses.isfinite().all()
        assert gradient.isfinite().all()


def test_closed_forms_of_the_losses_and_their_limits():
    """Values and gradients, which pass through the target of soft bootstrapping, too."""
    logits, labels, targets = case()
    logits.requires_grad_()
    plain = functional.cross_entropy(logits, labels, reduction="none")
    p = logits.softmax(dim=1)
    right, log_label = p[torch.arange(6), labels], torch.where(targets > 0, 0.0, -4.0).double()
    entropy, surest = -(p * p.log()).sum(dim=1), p.max(dim=1).values.log()
    distance = (targets - p).abs().sum(dim=1)
    for name, options, expected in [
        ("cross_entropy", {}, plain),
        ("label_smoothing", {"epsilon": 0.0}, plain),
        ("label_smoothing", {"epsilon": 0.2}, 0.8 * plain - 0.04 * p.log().sum(dim=1)),
        ("bootstrap_soft", {"beta": 1.0}, plain),
        ("bootstrap_soft", {"beta": 0.6}, 0.6 * plain + 0.4 * entropy),
        ("bootstrap_hard", {"beta": 1.0}, plain),
        ("bootstrap_hard", {"beta": 0.6}, 0.6 * plain - 0.4 * surest),
        ("mae", {}, distance),
        ("gce", {"q": 1e-8}, plain),
        ("gce", {"q": 0.7}, (1 - right**0.7) / 0.7),
        ("gce", {"q": 1.0}, distance / 2),
        ("sce", {"forward_weight": 1.0, "reverse_weight": 0.0}, plain),
        ("sce", {}, 0.1 * plain - (p * log_label).sum(dim=1)),
    ]:
        losses = make_method(name, **options).losses(logits, targets)
        torch.testing.assert_close(losses, expected, rtol=1e-6, atol=1e-6)
        (ours,) = torch.autograd.grad(losses.sum(), logits, retain_graph=True)
        (gradient,) = torch.autograd.grad(expected.sum(), logits, retain_graph=True)
        torch.testing.assert_close(ours, gradient, rtol=1e-6, atol=1e-6)


def test_mean_absolute_error_summed_over_all_labels_is_constant():
    logits, _, _ = case()
    losses = [make_method("mae").losses(logits, row.expand(6, 5)) for row in torch.eye(5).double()]
    torch.testing.assert_close(sum(losses), torch.full((6,), 2.0 * 5 - 2).double())


def at_the_minimum(objective: nn.Module) -> torch.Tensor:
    """Return the probabilities, by true class, that minimise the loss of the expected labels."""
    logits = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = objective(IDENTITY, batch_of(logits, torch.from_numpy(LAW)))
        loss.backward()
        return loss

    solver.step(closure)
    return logits.detach().softmax(dim=1)


def test_forward_correction_finds_the_class_and_cross_entropy_the_noisy_law(small, noisy):
    forward = objective_of("forward_known", noisy).double()
    assert (at_the_minimum(forward).diagonal() > 0.99).all()
    plain = at_the_minimum(objective_of("cross_entropy", noisy))
    np.testing.assert_allclose(plain, LAW, atol=1e-4)
    given = objective_of("forward_known", DilutedSet(small, 0.0), matrix=LAW.tolist())
    torch.testing.assert_close(given.law.double(), forward.law)


def test_backward_correction_is_unbiased_and_needs_an_inverse(noisy):
    objective = objective_of("backward_known", noisy).double()
    logits, _, _ = case(num_classes=3, size=1)
    labels = torch.eye(3).double()
    losses = torch.stack([objective(IDENTITY, batch_of(logits, row[None])) for row in labels])
    clean = torch.stack([cross_entropy(logits, row[None])[0] for row in labels])
    torch.testing.assert_close(torch.from_numpy(LAW) @ losses, clean, rtol=1e-5, atol=1e-5)
    assert (losses - clean).abs().max() > 1
    with pytest.raises(SpecError, match=r"^backward correction needs the inverse[^\n]*$"):
        objective_of("backward_known", noisy, matrix=[[1 / 3] * 3] * 3)


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize(
    "first", [[0.5, 0.5], [0.9, 0.0, 0.0], [1.2, -0.2, 0.0], [float("nan"), 0.5, 0.5], None]
)
def test_a_matrix_that_cannot_be_is_said(noisy, name: str, first: list | None):
    rows = [[0.5, 0.5], [0.5, 0.5]] if first is None else [first, [0, 1, 0], [0, 0, 1]]
    with pytest.raises(SpecError, match=r"^[^\n]*matrix[^\n]*$"):
        objective_of(name, noisy, matrix=rows)


def test_anchors_give_the_law_of_perfect_predictions():
    """Of the images 14 % are surely of their class; without any, the law cannot be read off."""
    posterior = np.random.default_rng(0).dirichlet(np.full(3, 0.5), 1000)
    doubtful = posterior[posterior.max(axis=1) < 0.8]
    posterior[::7] = np.eye(3)[np.arange(143) % 3]
    law = 0.3 * np.eye(3) + 0.7 * np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(anchor_law(posterior @ law, 0.97), law)
    assert np.abs(anchor_law(doubtful @ law, 0.97) - law).max() > 0.05


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_estimated_correction_begins_at_half_of_training(small, noisy, direction: str):
    law = noise.label_laws(1.0, np.full((3, 3), 1 / 3))
    predicting, unsure = Table(np.log(law[small.labels])), Table(np.zeros((90, 3)))
    seen = batch_of(torch.from_numpy(small.inputs[:]), torch.eye(3)[small.labels])
    plain = cross_entropy(predicting.float()(seen.inputs), seen.targets).mean()
    objective = objective_of(f"{direction}_estimated", noisy)
    known = objective_of(f"{direction}_known", noisy, matrix=law.tolist())
    for step in range(10):
        objective.before_step(step, 10, predicting if step <= 5 else unsure)
        expected = plain if step < 5 else known(predicting, seen)
        torch.testing.assert_close(objective(predicting, seen), expected)
    torch.testing.assert_close(objective.law, torch.from_numpy(law).float())
    assert (known(predicting, seen) - plain).abs() > 0.1


def test_looking_sees_every_image_in_order_and_leaves_no_trace():
    inputs = np.random.default_rng(0).normal(size=(1100, 4)).astype(np.float32)
    observed = Observed(DilutedSet(LabelledSet(inputs, np.arange(1100) % 2, ("a", "b")), 1.0))
    hidden = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model = nn.Sequential(hidden, nn.Linear(3, 2))
    before = [torch.get_rng_state(), *(value.clone() for value in model.state_dict().values())]
    seen, predicted = features(model, observed), probabilities(model, observed)
    after = [torch.get_rng_state(), *model.state_dict().values()]
    assert all(map(torch.equal, before, after))
    assert all(module.training for module in model.modules())
    model.eval()
    torch.testing.assert_close(seen, hidden(torch.from_numpy(inputs)).detach())
    torch.testing.assert_close(predicted, model(torch.from_numpy(inputs)).softmax(dim=1).detach())
    assert look_steps(100, 3) == [25, 50, 75]


def test_mixup_mixes_inputs_and_targets_alike(noisy):
    """Inputs that are their own targets stay so. The law of 100 shares is a Beta distribution."""
    objective, shares, seen = objective_of("mixup", noisy, concentration=2.0), [], []
    torch.manual_seed(0)
    for _ in range(100):
        batch = batch_of(torch.eye(8), torch.eye(8))
        loss = objective(lambda inputs: seen.append(inputs) or inputs, batch)
        mixed = seen.pop()
        assert loss.item() == pytest.approx(cross_entropy(mixed, mixed).mean().item())
        (share,) = set(mixed.diagonal().tolist()) - {1.0}  # one for all pairs
        assert mixed.sum(dim=0).tolist() == mixed.sum(dim=1).tolist() == pytest.approx([1] * 8)
        assert (mixed > 0).sum(dim=1).max() <= 2
        shares.append(share)
    assert 0 <= min(shares) <= max(shares) <= 1
    assert stats.kstest(shares, stats.beta(2, 2).cdf).pvalue > 0.01


@pytest.mark.parametrize(("share", "heavy"), [(0, 1), (1, 1), (1, 3), (0, 3)])
def test_mixup_without_mixing_is_cross_entropy(noisy, monkeypatch, share: int, heavy: int):
    """Also where images stand for unequal numbers of labels."""
    logits, _, targets = case()
    weights = torch.tensor([heavy, 1, 1, 1, 1, heavy])
    objective = objective_of("mixup", noisy)
    monkeypatch.setattr(objective._share, "sample", lambda: torch.tensor(float(share)))
    loss = objective(IDENTITY, batch_of(logits.float(), targets.float(), weights))
    torch.testing.assert_close(loss, (weights * cross_entropy(logits, targets)).mean().float())


def test_elr_holds_to_a_running_mean(noisy):
    """The mean's formula and the loss's.

    A step against the regulariser's gradient raises agreement.
    """
    visited = torch.tensor([1, 88, 3, 0, 5, 6])
    first, _, targets = case(num_classes=3)
    second = first.flip(0).clone().requires_grad_()
    objective = objective_of("elr", noisy, weight=2.0, memory=0.6).double()
    objective(IDENTITY, batch_of(first, targets, images=visited))
    loss = objective(IDENTITY, batch_of(second, targets, images=visited))
    mean = 0.6 * 0.4 * first.softmax(dim=1) + 0.4 * second.detach().softmax(dim=1)
    torch.testing.assert_close(objective.believed[visited], mean, atol=1e-3, rtol=0)
    assert objective.believed.any(dim=1).sum() == 6
    agreement = (mean * second.softmax(dim=1)).sum(dim=1)
    plain = cross_entropy(second, targets).mean()
    torch.testing.assert_close(loss, plain + 2 * torch.log(1 - agreement).mean(), atol=1e-2, rtol=0)
    (pull,) = torch.autograd.grad(loss - plain, second, retain_graph=True)
    (towards,) = torch.autograd.grad(agreement.sum(), second)
    assert ((pull * towards).sum(dim=1) < 0).all()
    unweighted = objective_of("elr", noisy, weight=0.0).double()
    torch.testing.assert_close(unweighted(IDENTITY, batch_of(second, targets)), plain)


@pytest.mark.parametrize(
    ("rate", "step", "kept"),
    [(0.6, 0, 10), (0.6, 25, 7), (0.6, 50, 4), (0.0, 0, 10), (0.99, 0, 1), (None, 0, 2)],
)
def test_each_network_learns_from_what_the_other_chose(small, noisy, rate, step, kept):
    """A visit that was not chosen gives no gradient.

    By default as many are left out as labels are noise, 4 in 5.
    """
    generator = np.random.default_rng(0)
    model = Table(generator.normal(size=(90, 3)))
    ramp = 0.5 if rate == 0.6 else 0.0
    objective = objective_of("co_teaching", noisy, model, forget_rate=rate, ramp=ramp)
    objective.second.logits.data = torch.from_numpy(generator.normal(size=(90, 3)))
    inputs = torch.from_numpy(small.inputs[:10])
    batch = batch_of(inputs, torch.eye(3)[torch.arange(10) % 3].double())
    objective.before_step(step, 100, model)
    loss = objective(model, batch)
    loss.backward()
    losses = [cross_entropy(one(inputs), batch.targets) for one in (model, objective.second)]
    chosen = [one.argsort()[:kept] for one in losses]
    assert kept == 10 or set(chosen[0].tolist()) != set(chosen[1].tolist())
    torch.testing.assert_close(loss, losses[0][chosen[1]].mean() + losses[1][chosen[0]].mean())
    for network, mine in ((model, chosen[1]), (objective.second, chosen[0])):
        moved = network.logits.grad.any(dim=1).nonzero().flatten()
        assert torch.equal(moved, mine.sort().values)


def of_which_one_is_own(counts, matrix) -> np.ndarray:
    """Return `[N, K]`: the counts' probability by class, one label being the image's own."""
    joint = np.zeros(counts.shape)
    for image, label in np.argwhere(counts):
        rest = counts[image] - np.eye(len(matrix), dtype=int)[label]
        joint[image, label] = stats.multinomial.pmf(rest, rest.sum(), matrix[label])
    return joint


@pytest.mark.parametrize("matrix", [MATRIX, noise.UniformOther().matrix(3, 1.0)])
def test_likelihoods_of_counts_are_multinomial(matrix):
    """Over all ways in which five labels may fall into three classes."""
    counts = np.array([c for c in itertools.product(range(6), repeat=3) if sum(c) == 5])
    drawn = np.stack([stats.multinomial.pmf(counts, 5, law) for law in matrix], axis=1)
    own = of_which_one_is_own(counts, matrix)
    for joint, scores_of in ((own, noise.count_log_likelihood), (drawn, noise.law_log_likelihood)):
        can_be = joint.any(axis=1)
        shares = joint[can_be] / joint[can_be].sum(axis=1, keepdims=True)
        found = special.softmax(scores_of(counts, matrix)[can_be], axis=1)
        np.testing.assert_allclose(found, shares, atol=1e-9)


@pytest.mark.parametrize("kind", ["dilution", "replacement", "flat"])
def test_the_gradient_of_em_is_towards_the_posterior(small, kind: str):
    """Where labels tell nothing it is zero."""
    replaced, diluted = ReplacedSet(small, 0.5, PATTERN), DilutedSet(small, 2.5, PATTERN)
    noisy = replaced if kind == "replacement" else diluted
    counts = noisy.counts()
    likelihood = {
        "dilution": of_which_one_is_own(counts, MATRIX),
        "replacement": counts @ noise.label_laws(1.0, MATRIX).T,
        "flat": np.ones((90, 3)),
    }[kind]
    options = {"matrix": [[0.2, 0.5, 0.3]] * 3} if kind == "flat" else {}
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(90, 3))).requires_grad_()
    objective_of("em_known", noisy, **options)(IDENTITY, batch_of(logits, logits)).backward()
    prior = logits.detach().softmax(dim=1).numpy()
    posterior = prior * likelihood / (prior * likelihood).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(90 * logits.grad.numpy(), prior - posterior, atol=1e-5)
    assert kind == "flat" or np.abs(prior - posterior).max() > 0.3


def test_the_m_step_finds_the_law(big: LabelledSet):
    """Of 3,000 labels a class, shares are off by at most 0.046, five deviations.

    Other rows differ by 0.8.
    """
    noisy = DilutedSet(big, 4.0, noise.Pair())
    law = counted_law(np.eye(10)[big.labels], noisy.counts())
    np.testing.assert_allclose(law, noisy.blocks[0].laws, atol=0.046)
    empty = counted_law(np.zeros((6000, 10)), noisy.counts())
    np.testing.assert_allclose(empty, np.tile(noisy.counts().mean(axis=0) / 5, (10, 1)))


def test_fitting_the_law_raises_the_likelihood(monkeypatch):
    """At every step from a rough start, with that of the one label added to every class.

    And the law comes out.
    """
    monkeypatch.setattr("dilute.methods.em._M_STEPS", 1)
    generator = np.random.default_rng(0)
    truth = generator.integers(3, size=4000)
    counts = generator.multinomial(5, LAW[truth])
    prior = 0.5 * np.eye(3)[truth] + 0.5 * generator.dirichlet(np.ones(3), 4000)
    law, likelihoods = 0.1 * np.eye(3) + 0.3, []
    for _ in range(40):
        joint = prior * np.exp(noise.law_log_likelihood(counts, law))
        added = (counts.mean(axis=0) / 5 * np.log(law)).sum()
        likelihoods.append(np.log(joint.sum(axis=1)).sum() + added)
        law = fitted_law(counts, prior, law)
    assert (np.diff(likelihoods) > -1e-6).all()
    assert likelihoods[-1] > likelihoods[0] + 100
    np.testing.assert_allclose(law, LAW, atol=0.05)


def test_a_file_of_added_noise_is_no_law(tmp_path: Path):
    law = np.full((10, 10), 0.04) + 0.6 * np.eye(10)
    (tmp_path / "law.csv").write_bytes(write_law(law, tuple("abcdefghij")))
    (tmp_path / "noise.json").write_text(
        json.dumps({"kind": "added noise", "matrix": [[0.1] * 10] * 10})
    )
    np.savetxt(tmp_path / "pair.csv", np.roll(np.eye(10), 1, axis=1), delimiter=",")
    np.savetxt(tmp_path / "alike.csv", np.full((10, 10), 0.1), delimiter=",")
    np.savetxt(tmp_path / "numbers.csv", law, delimiter=",")
    for name in ("law.csv", "numbers.csv"):
        method = make_method("forward", matrix=read_matrix(tmp_path / name))
        assert np.allclose(method.rows, law)
    for name, said in {
        "noise.json": "the distribution of added noise, not of all labels",
        "pair.csv": "in 0 of 10 rows",
        "alike.csv": "as added noise has",
    }.items():
        with pytest.raises(SpecError, match=said):
            make_method("forward", matrix=read_matrix(tmp_path / name))
