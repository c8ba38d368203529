"""Labels of one's own that are mostly guesses: how noisy are they, and what model do they give?

Runs in half a minute: `python examples/labels_of_your_own.py`. Replace the arrays by yours; images
are uint8 `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`, features float32 `[N, …]`.
"""

from __future__ import annotations

import numpy as np

import dilute


def main() -> None:
    """Estimate the noise of labels, train on them, keep the model, and use it."""
    digits = dilute.load("digits")
    draw = np.random.default_rng(0)
    is_wrong = draw.random(len(digits.train)) < 0.4
    labels = (digits.train.labels + is_wrong * draw.integers(1, 10, len(is_wrong))) % 10

    mine = dilute.LabelledSet(digits.train.inputs, labels)
    found = dilute.estimate_from_look_alikes(mine)
    print(f"{found.wrong_rate.value:.1%} of the labels are wrong")
    fit = dilute.fit(mine)
    fit.save("digits-model")
    model = dilute.load_model("digits-model")
    predicted = model.predict(digits.test.inputs)
    right = predicted == np.array(digits.test.class_names)[digits.test.labels]
    print(f"{right.mean():.1%} of {len(right)} new digits are read right")


if __name__ == "__main__":
    main()
