"""The network that a run starts from: built by name, or a copy of one that was given."""

from __future__ import annotations

import copy
import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parameter import is_lazy

from dilute import seeds
from dilute.data import LabelledSet
from dilute.dilution import NoisySet
from dilute.errors import ModelError, one_line
from dilute.models import build
from dilute.models.fast import Whitening
from dilute.training import Scaled

_INSTANCE = "instance:"
_IMAGES_TO_FIT, _VALUES_TO_FIT = 5_000, 2**24  # of large images fewer, as they take memory


def scaled_model(name: str, clean: LabelledSet, rows: NDArray[np.int64] | None = None) -> Scaled:
    """Return the network `name`, as it starts, behind the scaling of the images at `rows`."""
    network = build_network(name, clean.input_shape, clean.num_classes)
    return Scaled(network, *clean.statistics(rows))


def fresh_model(
    name: str, noisy: NoisySet, seed: int, device: torch.device, network: nn.Module | None = None
) -> nn.Module:
    """Return the network for `noisy` as a run with this seed starts it, on `device`.

    Arguments:
        name: what `build` takes.
        network: takes the place of the one that is named; a copy of it is returned.

    Errors: `ModelError` if it cannot be built.
    """
    rows = noisy.blocks[0].rows
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds.word(seed, "initialisation"))
        if network is None:
            model = scaled_model(name, noisy.clean, rows)
        else:
            model = Scaled(copy.deepcopy(network), *noisy.clean.statistics(rows))
    _fit_to_images(model, noisy)
    return model.to(device).to(memory_format=torch.channels_last)


def _fit_to_images(model: Scaled, noisy: NoisySet) -> None:
    """Compute the layers of `model` that are made from the training images, if it has some."""
    layers = [layer for layer in model.network.modules() if isinstance(layer, Whitening)]
    if not layers:
        return
    block = noisy.blocks[0]
    fitting = max(1, _VALUES_TO_FIT // math.prod(noisy.clean.input_shape))
    number = min(len(block), _IMAGES_TO_FIT, fitting)
    # Spread out, since images of a class may lie together.
    images, _ = block.read(np.arange(number) * len(block) // number)
    scaled = model.scaled(torch.from_numpy(images))
    for layer in layers:
        layer.fit(scaled)


def build_network(name: str, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return the network `name`, freshly initialised.

    Errors: `ModelError` for a network that was given as an object, or that cannot be built.
    """
    if name.startswith(_INSTANCE):
        raise ModelError(
            f"the model '{name}' was given as an object and cannot be built by its name; "
            "give the object to dilute.fit again"
        )
    return build(name, input_shape, num_classes)


def instance_name(network: nn.Module) -> str:
    """Return what a record calls a network that was given as an object.

    The name is `instance:CLASS@HASH`, the hash being of its layers and of its weights as they are
    now.
    """
    sha = hashlib.sha256(repr(network).encode())
    for name, tensor in network.state_dict().items():
        sha.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(flat.view(torch.uint8).numpy().tobytes())
    return f"{_INSTANCE}{type(network).__name__}@{sha.hexdigest()[:16]}"


def check_instance(network: nn.Module, clean: LabelledSet) -> None:
    """Refuse a network that cannot be copied or trained, or does not map inputs to classes.

    Errors: `ModelError`.
    """
    parts = [*network.parameters(), *network.buffers()]
    if any(is_lazy(part) for part in parts):
        raise ModelError(
            f"the model of class {type(network).__name__} has lazy layers, whose weights have no "
            "shape yet; send one batch through it first"
        )
    if not any(part.requires_grad for part in network.parameters()):
        raise ModelError(
            f"the model of class {type(network).__name__} has nothing to train; "
            "call requires_grad_() on it, or on some of its layers"
        )
    wanted = (2, clean.num_classes)
    try:
        trial = copy.deepcopy(network).cpu().eval()
        with torch.inference_mode():
            found = tuple(trial(torch.zeros(2, *clean.input_shape)).shape)
    except Exception as error:  # the network is the user's, and raises what it likes
        raise ModelError(
            f"the model of class {type(network).__name__} cannot be used ({one_line(error)}); "
            f"it must map float32 inputs [B, {', '.join(map(str, clean.input_shape))}] to logits "
            f"[B, {clean.num_classes}]"
        ) from error
    if found != wanted:
        raise ModelError(
            f"the model of class {type(network).__name__} gives {found} for two inputs; it must "
            f"give logits of shape {wanted}"
        )
