"""Arrays of labels in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.errors import DataError, one_line, printable


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in a `.npy`, `.npz` or `.pt` file by name; a nameless one is `labels`.

    Errors: `DataError` for a file that is missing, or holds something else.
    """
    try:
        if path.suffix == ".pt":
            found = _load_tensors(path)
        else:
            with path.open("rb"):
                pass
            loaded = np.load(path, allow_pickle=False)
            found = {"labels": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except FileNotFoundError:
        raise DataError(f"labels {path} do not exist; give a file of labels") from None
    except Exception as error:  # readers of archives raise nearly anything on garbage
        raise DataError(
            f"labels {path} cannot be read ({printable(one_line(error))[:160]}); it must hold "
            "arrays or tensors alone"
        ) from None
    return {str(name): np.asarray(array) for name, array in found.items()}


def _load_tensors(path: Path) -> dict[str, Any]:
    import torch

    # NumPy's arrays are rebuilt by functions of its own, which run no code of the file.
    rebuilt: list[Any] = [np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in "bBhHiIlLqQfd?"}]
    core = np._core.multiarray  # type: ignore[attr-defined]
    with torch.serialization.safe_globals([*rebuilt, core._reconstruct, core.scalar]):
        found = torch.load(path, weights_only=True, map_location="cpu")
    if not isinstance(found, dict):
        found = {"labels": found}
    return {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in found.items()
        if isinstance(value, (torch.Tensor, np.ndarray, list))
    }


def check_no_shares(path: Path, array: NDArray[Any], num_classes: int) -> None:
    """Refuse one-hot labels, or a share for each class, which look like labels of K annotators.

    Errors: `DataError` if it is one of these.
    """
    if array.ndim != 2 or array.shape[1] != num_classes or array.dtype.kind not in "biuf":
        return
    if (array >= 0).all() and np.allclose(array.sum(axis=1, dtype=np.float64), 1):
        raise DataError(
            f"labels {path} have shape {list(array.shape)} and rows that sum to one, as a "
            "share for each class; give the numbers of the classes, as array.argmax(axis=1)"
        )


def cells_of(path: Path, array: NDArray[Any]) -> list[str]:
    """Return labels `[N]` as cells of a table; −1 and NaN are empty.

    Errors: `DataError` for what is neither whole numbers nor text.
    """
    if array.dtype.kind in "US":
        return [str(value) for value in array.astype(np.str_)]
    if array.dtype.kind not in "biuf":
        raise DataError(f"labels {path} are {array.dtype}; they must be whole numbers or text")
    values = array.astype(np.float64)
    there = np.isfinite(values) & (values != -1)
    if (values[there] != np.rint(values[there])).any():
        wrong = values[there][values[there] != np.rint(values[there])][0]
        raise DataError(f"labels {path} hold {wrong:g}; they must be whole numbers or text")
    return [
        str(int(value)) if is_there else "" for value, is_there in zip(values, there, strict=True)
    ]
