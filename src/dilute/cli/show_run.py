"""What came of a run, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dilute.runs import RunRecord


def _top5(accuracy: float | None) -> str:
    return "" if accuracy is None else f" (top 5: {accuracy:.2%})"


def summary(record: RunRecord) -> str:
    """Return what came of a run in a few lines for people."""
    spec = record.spec
    noise = spec["noise"]["pattern"]
    amount = f"alpha {spec['alpha']:g}" if "alpha" in spec else f"rate {spec['rate']:g}"
    lines = [
        f"{spec['data']} · {spec['model']} · {noise} noise, {amount} · copies {spec['copies']} · "
        f"seed {spec['seed']}",
    ]
    if record.num_clean is not None:
        lines.append(
            f"  {record.num_clean:,} clean and {record.num_noisy:,} noisy labels: "
            f"{record.noise_rate:.1%} noise, "
            f"{record.wrong_rate:.1%} wrong; {record.num_heldout:,} images held out"
        )
    if record.status != "done":
        lines.append(
            f"  {record.status} after {record.steps or 'no'} steps"
            f"{': ' + record.message if record.message else ''}"
        )
    if record.accuracy.selected is not None:
        lines.append(
            f"  test accuracy {record.accuracy.selected:.2%}{_top5(record.accuracy.top5_selected)} "
            f"at step {record.selected_step}, "
            f"selected by {str(record.selected_by).replace('_', ' ')} (n = {record.num_test:,})"
        )
    if record.accuracy.last is not None:
        lines.append(
            f"  test accuracy {record.accuracy.last:.2%}{_top5(record.accuracy.top5_last)} "
            f"of the last model (step {record.steps})"
        )
    if record.images_per_second is not None:
        lines.append(
            f"  {record.images_per_second:,.0f} images/s, "
            f"{record.examples_per_second:,.0f} examples/s, {record.seconds:.0f} s in all, "
            f"peak memory {(record.peak_memory_bytes or 0) / 2**20:,.0f} MiB"
        )
    return "\n".join(lines)
