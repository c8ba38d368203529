"""Weights of runs in a store's folder: written beside the record, and read as a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from dilute.data import LabelledSet
from dilute.errors import StoreError
from dilute.runs.network import build_network
from dilute.runs.record import RunRecord
from dilute.training import Scaled, load_weights, save_weights
from dilute.training.checkpoints import put_weights

Which = Literal["selected", "last"]


def weights_path(folder: Path, key: str, which: Which | Literal["checkpoint"]) -> Path:
    """Return where the weights of run `key`, or its checkpoint, are."""
    return folder / f"{key}.{which}.safetensors"


def write_weights(
    path: Path, record: RunRecord, which: Which, weights: Mapping[str, Tensor], clean: LabelledSet
) -> None:
    """Write weights, with all that `read_model` needs to build their network.

    Errors: `StoreError` if they cannot be written.
    """
    description = {
        "key": record.key,
        "which": which,
        "model": record.spec["model"],
        "input_shape": clean.input_shape,
        "num_classes": clean.num_classes,
    }
    save_weights(path, weights, description)


def read_model(
    folder: Path,
    record: RunRecord,
    which: Which,
    find_clean: Callable[[], LabelledSet] | None = None,
) -> nn.Module:
    """Return the trained model of a run, in evaluation mode.

    Arguments:
        which: the selected weights (the last ones where nothing selected), or the last ones.
        find_clean: gives the training set, for weights that an older version wrote.

    Errors: as for `Store.load_model`.
    """
    if which not in get_args(Which):
        raise StoreError(f"which = {which!r} cannot be; give {' or '.join(get_args(Which))}")
    if record.selected_step is None:
        which = "last"
    path = weights_path(folder, record.key, which)
    if not path.exists():
        if record.status != "done":
            raise StoreError(f"run {record.key} {record.status}; no weights are kept of such runs")
        raise StoreError(
            f"store {folder} has no {which} weights of run {record.key}; run it again with "
            "--force (force=True), and keep the weights"
        )
    tensors, description = load_weights(path)
    if "input_shape" in description:
        shape, num_classes = tuple(description["input_shape"]), description["num_classes"]
    elif find_clean is not None:
        clean = find_clean()
        shape, num_classes = clean.input_shape, clean.num_classes
    else:
        raise StoreError(
            f"weights {path} do not say for which inputs they are, as an older version wrote them; "
            "give the training set, too (clean=…)"
        )
    network = build_network(record.spec["model"], shape, num_classes)
    model = Scaled(network, tensors["mean"].numpy(), tensors["deviation"].numpy())
    put_weights(model, tensors)
    return model.eval().to(memory_format=torch.channels_last)
