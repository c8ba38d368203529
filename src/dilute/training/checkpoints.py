"""Weights and the state of a run on disk: safetensors, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dilute.errors import ModelError, StoreError
from dilute.files import as_path, local_copy, write_file

Tensors = Mapping[str, Tensor]


def save_weights(path: Path | str, tensors: Tensors, description: dict[str, Any]) -> None:
    """Write named tensors and a JSON description to one safetensors file.

    Errors: `StoreError` if the file cannot be written.
    """
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(as_path(path), save(packed, {"dilute": json.dumps(description)}))


def load_weights(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the description that `save_weights` wrote.

    Errors: `StoreError` if the file is missing, cut off or of another kind.
    """
    try:
        with local_copy(as_path(path)) as here, safe_open(here, framework="pt") as file:
            description = json.loads(file.metadata()["dilute"])
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, description
    except FileNotFoundError:
        raise StoreError(f"weights {path} do not exist") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"weights {path} cannot be read ({error}); delete the file to start again"
        ) from None


def put_weights(model: nn.Module, tensors: Tensors) -> None:
    """Copy named tensors into `model`.

    Errors: `ModelError` if names or shapes are those of another model.
    """
    try:
        model.load_state_dict(dict(tensors))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise ModelError(f"the weights are those of another model: {lines[-1]}") from None


def read_model(path: Path | str, model: nn.Module) -> None:
    """Copy the weights in the file `path`, of a run or of a checkpoint, into `model`.

    Errors: `StoreError` if it cannot be read; `ModelError` if the weights are those of another
        model.
    """
    tensors, _ = load_weights(path)
    put_weights(model, under_prefix("model", tensors) or tensors)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors, named `index.name`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"{index}.{name}": value
        for index, parameter in enumerate(parameters)
        for name, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }


def put_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Copy what `optimizer_tensors` returned back, in each parameter's own memory format."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter).copy_(value)
        optimizer.state[parameter][name] = value.to(parameter.device)


def with_prefix(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    """Return `tensors` with `prefix` and a slash before each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    """Return the tensors named `prefix/…`, without that prefix."""
    start = prefix + "/"
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
