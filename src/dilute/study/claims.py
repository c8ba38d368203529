"""Claims of the paper, and what a rule may say of one from the runs at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from scipy import stats

Verdict = Literal["reproduced", "partly", "not reproduced", "not run at this scale"]


@dataclass(frozen=True)
class Judgement:
    """What a rule found.

    Attributes:
        verdict: one of four.
        finding: our value with its spread, in words; for `partly`, with what part.
        num_runs: how many finished runs it is about.
        numbers: the numbers behind it, by name.
        brief: our value in a few words, for a table; the finding if empty.
    """

    verdict: Verdict
    finding: str
    num_runs: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    brief: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: its name in reports.
        source: where the paper says it: the figure, the abstract.
        text: what the paper says, in our words.
        reported: the value that it reports.
        judge: from the figure's frame (a row per point and seed) to a judgement.
    """

    id: str
    source: str
    text: str
    reported: str
    judge: Callable[[Any], Judgement]

    def judged(self, data: Any) -> Judgement:
        """Return what the rule says; from a single seed, `reproduced` counts as `partly`."""
        found = self.judge(data)
        if found.verdict != "reproduced" or "seed" not in data or data["seed"].nunique() > 1:
            return found
        return replace(found, verdict="partly", finding=f"{found.finding}; one seed alone")


def not_run(why: str = "no runs of it at this scale") -> Judgement:
    """Return the judgement of what was not run."""
    return Judgement("not run at this scale", why)


def verdict_of(parts: Sequence[bool]) -> Verdict:
    """Return `reproduced` if all parts of a claim hold, `not reproduced` if none, else `partly`."""
    assert parts
    if all(parts):
        return "reproduced"
    return "partly" if any(parts) else "not reproduced"


def standard_error(values: Sequence[float], num_test: float) -> float:
    """Return the standard error of a mean accuracy over seeds.

    Arguments:
        values: accuracies, 0 to 1, one a seed.
        num_test: test images behind each.

    Seeds share their test images, so that a mean over them is never surer than the test set allows:
    the error is the larger of the seeds' (their deviation over the root of their number) and the
    binomial one of a single run. A single seed has the latter alone.
    """
    mean = float(np.mean(values))
    binomial = math.sqrt(max(mean * (1 - mean), 1e-12) / num_test)
    if len(values) < 2:
        return binomial
    return max(binomial, float(np.std(values, ddof=1)) / math.sqrt(len(values)))


def is_above(higher: Sequence[float], lower: Sequence[float], num_test: float) -> bool:
    """Return whether the mean of `higher` exceeds that of `lower` by more than chance.

    That is by more than Student's two-sided 95 % bound times the standard error of the difference,
    with the degrees of freedom of both groups of seeds (the normal bound where neither has two).
    """
    freedom = len(higher) + len(lower) - 2
    bound = stats.t.ppf(0.975, freedom) if freedom > 0 else stats.norm.ppf(0.975)
    error = math.hypot(standard_error(higher, num_test), standard_error(lower, num_test))
    return bool(np.mean(higher) - np.mean(lower) > bound * error)


def percent(values: Sequence[float]) -> str:
    """Return accuracies (0 to 1) as `93.3 % (92.7 to 93.7, n = 3)`.

    As `93.3 % (n = 1)` if there is one.

    Without any (see `accuracies`) the words say that runs did not finish.
    """
    if not values:
        return "unknown (runs failed or diverged)"
    mean = f"{100 * float(np.mean(values)):.1f} %"
    if len(values) == 1:
        return f"{mean} (n = 1)"
    return f"{mean} ({100 * min(values):.1f} to {100 * max(values):.1f}, n = {len(values)})"


def accuracies(table: Any, **where: Any) -> list[float]:
    """Return the accuracies, by seed, of the runs whose columns have the values of `where`.

    None at all if one of them did not finish: what is left of a cell whose other seeds failed or
    diverged would tell of the lucky ones.
    """
    chosen = table
    for name, value in where.items():
        chosen = chosen[chosen[name] == value]
    values = chosen.sort_values("seed")["accuracy"]
    return [] if values.isna().any() else [float(value) for value in values]


def num_test(table: Any) -> float:
    """Return the number of test images behind each accuracy (the smallest, if they differ)."""
    return float(table["num_test"].min())


def tuned(table: Any, by: Sequence[str], over: str = "learning_rate") -> Any:
    """Return, for each group of `by`, the row with the lowest held-out NLL, in order of `by`.

    The choice is made on held-out labels alone; the test set has no part in it. Where only one
    value of `over` was run there is nothing to choose, and every row stays.
    """
    known = table.dropna(subset=["heldout_nll"])
    if not known.empty and known[over].nunique() > 1:
        best = known.groupby(list(by), dropna=False)["heldout_nll"].idxmin()
        table = table.loc[sorted(best)]
    return table.sort_values(list(by), ignore_index=True)
