from __future__ import annotations

import torch

from dilute.methods.cross_entropy import cross_entropy


def test_one_hot_targets_give_the_usual_loss():
    logits = torch.randn(5, 3)
    labels = torch.tensor([0, 1, 2, 1, 0])
    targets = torch.nn.functional.one_hot(labels, 3).float()
    usual = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, targets), usual)


def test_loss_of_label_counts_is_the_mean_of_single_losses():
    logits = torch.randn(1, 4, dtype=torch.float64)
    labels = torch.tensor([2, 0, 0, 3, 1, 0])
    one_hot = torch.nn.functional.one_hot(labels, 4).double()
    singles = cross_entropy(logits.expand(6, 4), one_hot)
    grouped = cross_entropy(logits, one_hot.mean(dim=0, keepdim=True))
    torch.testing.assert_close(grouped[0], singles.mean())
