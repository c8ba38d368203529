"""Wrong labels on data of your own: how much accuracy do 5 random labels for each right one cost?

Runs in a few seconds: `python examples/own_data.py`. Replace the arrays by yours; images are uint8
`[N, C, H, W]`, features float32 `[N, …]`.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_wine

import dilute


def main() -> None:
    """Train a small network on clean and on diluted labels, and compare."""
    features, labels = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    features, labels = features[order].astype(np.float32), labels[order].astype(np.int64)
    names = ("Barolo", "Grignolino", "Barbera")
    train = dilute.LabelledSet(features[:120], labels[:120], names)
    test = dilute.LabelledSet(features[120:], labels[120:], names)
    for alpha in (0, 5):
        diluted = dilute.DilutedSet(train, alpha, dilute.Uniform(), seed=0)
        recipe = dilute.Recipe(batch_size=32, budget_steps=200)
        record = dilute.fit(diluted, test=test, model="mlp1", recipe=recipe).record
        print(
            f"alpha = {alpha}: {record.wrong_rate:.0%} of the labels wrong, "
            f"accuracy {record.accuracy.selected:.1%} (n = {record.num_test})"
        )


if __name__ == "__main__":
    main()
