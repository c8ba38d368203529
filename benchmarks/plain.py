"""What a user would write without this package: copies in memory, a DataLoader, a plain Conv4."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from dilute.data import LabelledSet


def conv4() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def materialised(clean: LabelledSet, alpha: int, size: int | None = None) -> TensorDataset:
    """Return `1 + alpha` float32 copies of each image, all but the first labelled at random."""
    images = torch.from_numpy(clean.inputs[:size].copy()).float() / 255
    labels = torch.from_numpy(clean.labels[:size].copy())
    noisy = torch.randint(0, 10, (alpha * len(labels),))
    return TensorDataset(images.repeat(1 + alpha, 1, 1, 1), torch.cat([labels, noisy]))


def train(
    data: TensorDataset,
    batch_size: int,
    make_optimizer: Callable[..., torch.optim.Optimizer],
    on_step: Callable[[int, nn.Module], bool],
) -> None:
    """Train epoch after epoch until `on_step` answers True."""
    model = conv4().train()
    optimizer = make_optimizer(model.parameters())
    step = 0
    while True:
        for images, labels in DataLoader(data, batch_size=batch_size, shuffle=True):
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            step += 1
            if on_step(step, model):
                return


def images_per_second(clean: LabelledSet, batch_size: int, steps: int, warmup: int) -> float:
    """Return the median speed over `steps` steps after `warmup` ones, data loading included."""
    times = [time.perf_counter()]

    def note(step: int, _model: nn.Module) -> bool:
        times.append(time.perf_counter())
        return step == warmup + steps

    train(materialised(clean, 20, size=3000), batch_size, torch.optim.Adadelta, note)
    return batch_size / float(np.median(np.diff(times)[warmup:]))
