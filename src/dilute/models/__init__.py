"""Networks by name; input shape and number of classes come from the data.

They are the paper's, but for the output layer, which starts at zero (see `output`).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dilute.errors import ModelError, one_line, unknown_name
from dilute.extensions import imported, listed

Builder = Callable[[tuple[int, ...], int], nn.Module]

MODELS: dict[str, Builder] = listed("dilute.models", "MODELS", first=("linear",))
"""The networks that come with the package, each listed as `MODELS` by its own file."""


def build(name: str, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return a new network, from float32 `[B, *input_shape]` to logits `[B, num_classes]`.

    Arguments:
        name: a key of `MODELS`, or `module:callable` for your own, called with the other two
            arguments.
        input_shape: `(C, H, W)` for images, anything for features.
        num_classes: K ≥ 2.

    Errors: `ModelError` for an unknown name, a callable that cannot be imported or does not return
        an `nn.Module`, or a network that does not fit the input shape.
    """
    if ":" in name:
        return _build_own(name, input_shape, num_classes)
    if name not in MODELS:
        raise ModelError(unknown_name("model", name, MODELS) + "; or module:callable for your own")
    return MODELS[name](input_shape, num_classes)


def _build_own(name: str, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    builder = _imported(name)
    try:
        model = builder(input_shape, num_classes)
    except Exception as error:  # whatever the user's code raises
        reason = one_line(error)
        raise ModelError(
            f"model '{name}' cannot be built ({reason}); it is called with input_shape = "
            f"{input_shape} and num_classes = {num_classes}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"model '{name}' returned a {type(model).__name__}; it must return a torch.nn.Module"
        )
    return model


def _imported(name: str) -> Builder:
    builder = imported("model", name, ModelError, form="module:callable")
    if not callable(builder):
        raise ModelError(f"model '{name}' is of type {type(builder).__name__}; it must be callable")
    answer: Builder = builder
    return answer
