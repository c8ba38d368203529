"""The tables of the page on full scale, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dilute.dilution.blocks import label_dtype
from dilute.studies.full_scale.costs import CLUSTERS, SHARING, hours_on
from dilute.studies.full_scale.step_costs import COPIES, SHARD
from dilute.study.pages import markdown_table

BILLION = 10**9
JPEG_BYTES = 110e3
"""An image of ImageNet's training set, on average: 1,281,167 take 138 GiB unpacked."""


def figure_table(results: Mapping[str, Any]) -> str:
    """Return what the runs of each figure take.

    Arguments:
        results: what the study measured.
    """
    assumed, rows = results["assumed"], results["figures"]
    larger = [size for size in CLUSTERS if size > 1]
    names = ["images", "core_hours_here", "alone_gpu_hours", "shared_gpu_hours"]
    names += ["longest_run_hours", *map(hours_on, larger), "dollars"]
    sums = {name: sum(row[name] for row in rows) for name in names}
    sums["longest_run_hours"] = max(row["longest_run_hours"] for row in rows)
    for size in larger:
        total = sum(min(row["alone_gpu_hours"], row["shared_gpu_hours"]) for row in rows)
        sums[hours_on(size)] = max(total / size, sums["longest_run_hours"])
    whole = {"figure": "all", "runs": sum(row["runs"] for row in rows), **sums}
    heads = ["figure", "runs", "images, millions", "core hours here"]
    heads += ["GPU hours, a run at a time", "limit", f"GPU hours, {SHARING} at a time", "limit"]
    heads += ["longest run, hours", *(f"{size} GPUs, hours" for size in larger), "cost, $"]
    table = []
    for row in [*rows, whole]:
        hours = [row[hours_on(size)] for size in larger]
        table.append(
            [
                row["figure"],
                f"{row['runs']:,}",
                amount(row["images"] / 1e6),
                amount(row["core_hours_here"]),
                amount(row["alone_gpu_hours"]),
                row.get("alone_limit", ""),
                amount(row["shared_gpu_hours"]),
                row.get("shared_limit", ""),
                *map(amount, [row["longest_run_hours"], *hours, row["dollars"]]),
            ]
        )
    note = (
        f"Assumed: a GPU trains ResNet-18 at 224 pixels at {assumed['gpu_images_per_second']:,.0f} "
        f"images/s, which is {results['gpu_teraflops']:.0f} teraflop/s, and does everything else "
        f"at as many; an operation takes {1e6 * assumed['launch_seconds']:.0f} µs to launch; a GPU "
        f"hour costs {assumed['dollars_per_gpu_hour']:g} $. At that rate a GPU that streams "
        f"photographs keeps {results['cores_per_gpu']:.1f} cores decoding. Counted, and measured "
        f"on one core of {results['machine']}."
    )
    return f"{markdown_table(heads, table)}\n\n{note}"


def unit_table(results: Mapping[str, Any]) -> str:
    """Return what a step of each kind of run costs."""
    heads = ["data, model", "batch", "gigaflop", "operations", "ms to make the batch"]
    rows = []
    for row in results["units"]:
        unit = row["unit"]
        made = f"{1000 * unit['batch_seconds']:.2f}" if unit["batch_seconds"] else "by workers"
        rows.append(
            [
                f"{row['data']}, {row['model']}, {row['optimizer']}",
                str(row["batch_size"]),
                rounded(unit["flops"] / 1e9),
                str(unit["operations"]),
                made,
                f"{row['batch_size'] / unit['core_seconds']:,.0f}",
            ]
        )
    return markdown_table([*heads, "images/s of a core here"], rows)


def billion_table(results: Mapping[str, Any]) -> str:
    """Return what a billion images take, at alpha = 100."""
    found, rate = results["billion"], results["assumed"]["gpu_images_per_second"]
    labels = BILLION * (1 + COPIES)
    width = label_dtype(1000).itemsize
    hours = BILLION / rate / 3600
    drawing = BILLION * COPIES / found["labels_per_second"] / 3600
    rows: Sequence[tuple[str, str]] = [
        ("labels", f"{labels / 1e9:,.0f} billion"),
        ("a table of them, 1,000 classes", f"{labels * width / 2**30:,.0f} GiB"),
        (
            f"the table of one shard of {SHARD:,} images",
            f"{SHARD * (1 + COPIES) * width / 2**20:.1f} MiB",
        ),
        ("drawing labels, per core", f"{found['labels_per_second'] / 1e6:,.0f} million/s"),
        (
            "drawing one shard's labels anew",
            f"{SHARD * COPIES / found['labels_per_second']:.2f} s of a core",
        ),
        ("drawing all of them", f"{drawing:.1f} core hours"),
        (
            "index and own labels in memory, as they are now",
            f"{found['bytes_per_image']:.0f} bytes an image: "
            f"{found['bytes_per_image'] * BILLION / 2**30:,.0f} GiB",
        ),
        ("images, at ImageNet's size", f"{JPEG_BYTES * BILLION / 1e12:,.0f} TB"),
        ("reading, per GPU", f"{JPEG_BYTES * rate / 1e6:,.0f} MB/s"),
        ("decoding, per GPU", f"{results['cores_per_gpu']:.1f} cores"),
        ("one pass, all labels of an image in one visit", f"{hours:,.0f} GPU hours"),
        ("one pass, single labels", f"{hours * (1 + COPIES):,.0f} GPU hours"),
    ]
    return "\n".join(
        ["| alpha = 100, a billion images | |", "| --- | --- |"]
        + [f"| {name} | {value} |" for name, value in rows]
    )


def amount(value: float) -> str:
    """Return a number in two digits that count, and small ones as such."""
    return rounded(value) if value >= 0.01 else "< 0.01"


def rounded(value: float) -> str:
    """Return a number in two digits that count, or as a whole one."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
