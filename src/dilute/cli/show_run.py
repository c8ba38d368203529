"""What came of a run, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dilute.runs import RunRecord


def _top5(accuracy: float | None) -> str:
    return "" if accuracy is None else f" (top 5: {accuracy:.2%})"


def summary(record: RunRecord) -> str:
    """Return what came of a run in a few lines for people."""
    spec = record.spec
    lines = [
        f"{spec['data']} · {spec['model']} · {_noise(spec)} · copies {spec['copies']} · "
        f"seed {spec['seed']}",
    ]
    if record.num_labels is not None or record.num_clean is not None:
        lines.append(f"  {_labels(record)}; {record.num_heldout:,} images held out")
    if record.status != "done":
        lines.append(
            f"  {record.status} after {record.steps or 'no'} steps"
            f"{': ' + record.message if record.message else ''}"
        )
    accuracy, measure = record.accuracy, record.measure
    if accuracy.selected is not None:
        lines.append(
            f"  {measure} {accuracy.selected:.2%}{_top5(accuracy.top5_selected)} "
            f"at step {record.selected_step}, "
            f"selected by {str(record.selected_by).replace('_', ' ')} (n = {record.num_test:,})"
        )
    if accuracy.last is not None:
        lines.append(
            f"  {measure} {accuracy.last:.2%}{_top5(accuracy.top5_last)} "
            f"of the last model (step {record.steps})"
        )
    if record.images_per_second is not None:
        lines.append(
            f"  {record.images_per_second:,.0f} images/s, "
            f"{record.examples_per_second:,.0f} examples/s, {record.seconds:.0f} s in all, "
            f"peak memory {(record.peak_memory_bytes or 0) / 2**20:,.0f} MiB"
        )
    return "\n".join(lines)


def _noise(spec: dict[str, Any]) -> str:
    """Return what noise a run has, in words."""
    if spec.get("as_given"):
        return "labels as given"
    amount = f"alpha {spec['alpha']:g}" if "alpha" in spec else f"rate {spec['rate']:g}"
    return f"{spec['noise']['pattern']} noise, {amount}"


def _labels(record: RunRecord) -> str:
    """Return how many labels a run has, and how many are wrong where that is known."""
    if record.num_clean is None:
        return f"{record.num_labels:,} labels as given; how many are wrong is not known"
    if record.test_labels == "given":
        return (
            f"{record.num_clean:,} labels as given, how many of which are wrong is not known, and "
            f"{record.num_noisy:,} planted"
        )
    return (
        f"{record.num_clean:,} clean and {record.num_noisy:,} noisy labels: "
        f"{record.noise_rate:.1%} noise, {record.wrong_rate:.1%} wrong"
    )
