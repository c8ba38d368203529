"""Figure 3: ImageNet under uniform noise, ResNet-18."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.data import Reading, data_folder
from dilute.data.imagenet import has_sample
from dilute.runs import RunRecord, RunSpec
from dilute.studies.paper import setup
from dilute.study import claims
from dilute.study.claims import Claim, Judgement
from dilute.study.study import Scale, Study
from dilute.study.style import draw_against_alpha

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLAIM_ALPHA = 5
_BAR = 0.70
_AUGMENTED = {"augment": "crop_flip"}
_MEASURES = {"accuracy": "top-1", "top5_accuracy": "top-5"}


def specs(scale: Scale) -> list[RunSpec]:
    """Return the figure's runs at the paper's scale; a laptop cannot train on ImageNet."""
    if scale != "paper":
        return []
    return [
        RunSpec(
            data="imagenet",
            model="resnet18",
            alpha=alpha,
            copies=1,
            batch_size=256,
            optimizer="sgd",
            momentum=0.9,
            weight_decay=1e-4,
            learning_rate=rate,
            **_AUGMENTED,
            budget_epochs=20,
            curve_points=20,
            seed=seed,
        )
        for rate in (0.01, 0.03, 0.1)
        for seed in setup.seeds_of(scale, laptop=0)
        for alpha in range(_CLAIM_ALPHA + 1)
    ]


def smoke_runs(scale: Scale, references: Sequence[RunRecord], reading: Reading) -> list[RunSpec]:
    """Return smoke's runs, on `imagenet-sample` where the data folder has it, else on digits."""
    if scale != "smoke":
        return []
    recipe = {**setup.SMOKE, "data": "digits"}
    if has_sample(data_folder(reading.data_dir)):
        recipe |= {"data": "imagenet-sample", "copies": 1, "optimizer": "sgd", **_AUGMENTED}
    return [RunSpec(model="resnet18", alpha=alpha, **recipe) for alpha in (0, 5)]


def select(table: Any, scale: Scale) -> Any:
    """Return a row per `alpha`, seed and measure (top-1, top-5), at the preferred rate."""
    best = claims.tuned(table, by=["alpha", "seed"]).rename(columns={"accuracy": "top-1"})
    best = best.rename(columns={"top5_accuracy": "top-5"})
    long = best.melt(
        id_vars=[name for name in best.columns if name not in _MEASURES.values()],
        value_vars=list(_MEASURES.values()),
        var_name="measure",
        value_name="accuracy",
    )
    return long.sort_values(["measure", "alpha", "seed"], ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw top-1 and top-5 test accuracy against `alpha`."""
    is_sample = "imagenet-sample" in set(data["data"])
    smoke = f"{'a sample' if is_sample else '8×8 digits in place'} of ImageNet, a few steps"
    note = smoke if scale == "smoke" else "single draws"
    names = {"top-5": "top-5", "top-1": "top-1"}
    return draw_against_alpha("ImageNet, ResNet-18, uniform noise", note, data, "measure", names)


def judge(data: Any) -> Judgement:
    """`imagenet-alpha5`: top-5 accuracy is at least 70 % at `alpha = 5`.

    Partly within two standard errors below.
    """
    rows = data[data["alpha"] == _CLAIM_ALPHA]
    values = claims.accuracies(rows, measure="top-5")
    if not values:
        return claims.not_run("needs ImageNet and a GPU")
    mean = float(np.mean(values))
    error = claims.standard_error(values, claims.num_test(rows))
    within = mean >= _BAR - 2 * error
    return Judgement(
        "reproduced" if mean >= _BAR else "partly" if within else "not reproduced",
        f"top-5 {claims.percent(values)} at alpha = {_CLAIM_ALPHA}",
        len(values),
        {"top-5 accuracy": mean},
    )


STUDY = Study(
    name="fig3",
    title="ImageNet under uniform noise: ResNet-18",
    source="Figure 3 of the paper. Our reading: the budget of the runs, and ImageNet's standard "
    "augmentation.",
    notes={
        "smoke": "A few steps of ResNet-18 on `imagenet-sample`, streamed, augmented and tested "
        "on itself, where the data "
        "folder has it; else on 8×8 digits in place of ImageNet. No verdict.",
        "laptop": "Nothing: ImageNet needs a GPU.",
        "paper": "Single draws, SGD with momentum, batches of 256, random crops and flips, "
        "learning rate tuned on held-out "
        "noisy labels. The data set must be at hand as folders of classes; it is streamed.",
    },
    specs=specs,
    specs_given=smoke_runs,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "imagenet-alpha5",
            "figure 3",
            "on ImageNet ResNet-18 still reaches 70 % top-5 at alpha = 5",
            "70 % top-5",
            judge,
        ),
    ),
)
