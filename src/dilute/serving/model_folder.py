"""A model in a folder: weights, a description, and a card to read."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from dilute.environment import versions
from dilute.errors import ModelError, StoreError, one_line, printable, reason_of
from dilute.files import as_path, check_writable, is_local, write_error, write_file
from dilute.models import MODELS, build
from dilute.serving.card import card
from dilute.serving.trained_model import TrainedModel
from dilute.training import Scaled, load_weights, save_weights
from dilute.training.checkpoints import put_weights

FORMAT = 1
_WEIGHTS, _DESCRIPTION, _CARD = "model.safetensors", "model.json", "README.md"
_INSTANCE = "instance:"


def check_model_folder(folder: Path | str) -> Path:
    """Return the folder, if a model can be written there: it is absent, empty, or has a model.

    Errors: `StoreError`.
    """
    path = as_path(folder)
    if not is_local(path):
        raise StoreError(f"{folder} is in object storage; give a folder of this machine")
    if path.is_file():
        raise StoreError(f"{path} is a file; give a folder for the model")
    if path.is_dir():
        strange = sorted({one.name for one in path.iterdir()} - {_WEIGHTS, _DESCRIPTION, _CARD})
        if strange:
            raise StoreError(
                f"{path} holds something else than a model ({', '.join(strange[:3])}); give "
                "another folder"
            )
    check_writable(path.absolute().parent)
    return path


def save_model(model: TrainedModel, folder: Path | str) -> Path:
    """Write a model into a folder, whole or not at all; see `TrainedModel.save`."""
    path = check_model_folder(folder).absolute()
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        tensors = {name: part.contiguous() for name, part in model.network.state_dict().items()}
        save_weights(temporary / _WEIGHTS, tensors, {"format": FORMAT})
        about = _description(model, _hash(temporary / _WEIGHTS))
        write_file(temporary / _DESCRIPTION, (json.dumps(about, indent=1) + "\n").encode())
        write_file(temporary / _CARD, card(model).encode())
        _put(temporary, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def _put(temporary: Path, path: Path) -> None:
    """Rename a folder to `path`; an earlier one goes, but only once the new one is there."""
    old = temporary.with_suffix(".old")
    if path.exists():
        path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def load_model(
    folder: Path | str,
    *,
    device: str | None = None,
    trust_code: bool = False,
    network: nn.Module | None = None,
) -> TrainedModel:
    """Return the model in a folder that `dilute fit` or `TrainedModel.save` wrote.

    Arguments:
        folder: with `model.json` and `model.safetensors`.
        device: where it predicts; a GPU if there is one, for None.
        trust_code: whether the folder may name a module that is imported, which runs its code.
            Networks of this package need none.
        network: the network as it was given to `fit`, for a model whose network was given as an
            object; it takes the weights.

    Errors: `StoreError` for a folder that is missing, cut off, edited or of a newer version;
        `ModelError` for a network that cannot be built.
    """
    path = as_path(folder)
    about = _read_description(path)
    try:
        return _loaded(path, about, device, network, trust_code=trust_code)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise StoreError(
            f"{path / _DESCRIPTION} lacks something ({one_line(error)}); copy the folder again"
        ) from None


def _loaded(
    path: Path,
    about: dict[str, Any],
    device: str | None,
    network: nn.Module | None,
    *,
    trust_code: bool,
) -> TrainedModel:
    """Return the model that a description is of."""
    if _hash(path / _WEIGHTS) != about["weights_sha256"]:
        raise StoreError(
            f"{path / _WEIGHTS} is not the file that {_DESCRIPTION} describes: it was cut off or "
            "changed; copy the folder again"
        )
    tensors, _ = load_weights(path / _WEIGHTS)
    shape = tuple(about["input"]["shape"])
    names = tuple(about["class_names"])
    if network is None:
        network = _built(about["architecture"], shape, len(names), trust_code=trust_code)
    scaled = Scaled(network, tensors["mean"].numpy(), tensors["deviation"].numpy())
    put_weights(scaled, tensors)
    law = about["law"]
    return TrainedModel(
        network=scaled.eval(),
        class_names=names,
        input_shape=shape,
        is_images=about["input"]["kind"] == "images",
        architecture=about["architecture"],
        resize=about["input"]["resize"],
        mirrored=about["input"].get("mirrored", False),
        law=None if law is None else np.asarray(law, dtype=np.float64),
        about=about["about"],
    ).to(device)


def _built(name: str, shape: tuple[int, ...], num_classes: int, *, trust_code: bool) -> nn.Module:
    if name.startswith(_INSTANCE):
        raise ModelError(
            f"the model's network {name} was given as an object and cannot be built by its name; "
            "make it again, and give it as network="
        )
    if ":" in name and not trust_code:
        raise ModelError(
            f"the model needs the code of {name}, which runs on your machine when it is loaded; "
            "if you trust it, give --trust-code (trust_code=True)"
        )
    if ":" not in name and name not in MODELS:
        raise ModelError(
            f"the model's architecture is {name}, which this version of dilute does not have; "
            "update dilute"
        )
    return build(name, shape, num_classes)


def _description(model: TrainedModel, weights_hash: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "format": FORMAT,
        "architecture": model.architecture,
        "input": {
            "kind": "images" if model.is_images else "features",
            "shape": list(model.input_shape),
            "resize": model.resize,
            "mirrored": model.mirrored,
        },
        "class_names": list(model.class_names),
        "law": None if model.law is None else np.asarray(model.law).tolist(),
        "about": dict(model.about),
        "versions": versions(),
        "weights_sha256": weights_hash,
    }
    if isinstance(model.network, Scaled):
        scaling = {name: getattr(model.network, name).tolist() for name in ("mean", "deviation")}
        values["scaling"] = scaling
    return {**values, "sha256": _own_hash(values)}


def _read_description(path: Path) -> dict[str, Any]:
    """Return what `model.json` says.

    Errors: `StoreError` if it is not there, cut off, edited or newer.
    """
    file = path / _DESCRIPTION
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        advice = (
            "; to load from a store of runs, use dilute.Store(FOLDER).load_model(KEY)"
            if path.is_dir() and any(path.glob("*.json*"))
            else "; give the folder that dilute fit --out wrote"
        )
        raise StoreError(f"{path} has no {_DESCRIPTION}{advice}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read ({reason_of(error)}); copy it again") from None
    if not isinstance(values, dict) or "format" not in values:
        raise StoreError(f"{file} describes no model of dilute; give the folder of one")
    if values["format"] != FORMAT:
        raise StoreError(
            f"{file} is of format {printable(str(values['format']))}, and this version of dilute "
            f"reads format {FORMAT}; update dilute"
        )
    if values.pop("sha256", None) != _own_hash(values):
        raise StoreError(
            f"{file} was edited or cut off, since its checksum does not hold; copy it again"
        )
    return values


def _own_hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(
            f"{file} cannot be read ({reason_of(error)}); copy the folder again"
        ) from error
