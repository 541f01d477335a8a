"""Data ``permutation``: unit vectors with their images, and what the permutation does to all binary inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.streams import stream
from feature_lazy.settings.groups import Data, Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config

LARGEST = 20
"""k up to which all binary inputs are put in an order, of which a test set is the first ones."""


@option("dataset", "permutation")
class Permutation(Data):
    """A permutation of k bits, π: learnt from e_i ↦ e_π(i), i = 1 … k, and asked of x ∈ {0, 1}^k, x ≠ 0.

    Training patterns are the unit vectors, with the class π(i), so that labels=classes loss=mse learns all k bits
    (arXiv:2502.16763). Test patterns are binary inputs in random order, none twice, unit vectors among them; what is
    right for them is ``bits``, several ones at a time. Their class is that of their first 1: one of the bits that are.
    """

    dim: int = key(6, "k, bits", ge=2)
    n_train: int = key(6, "P = k: every unit vector once", ge=2)
    n_test: int = key(63, "binary inputs to test on, 2^k − 1 at most", ge=1)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def problems(self, config: Config) -> Iterator[str]:
        if self.dim > LARGEST:
            yield f"dataset.dim={self.dim}: must be at most {LARGEST}: test patterns are drawn from all 2^k − 1."
        elif self.n_test > 2**self.dim - 1:
            yield f"dataset.n_test={self.n_test}: of {self.dim} bits there are {2**self.dim - 1} inputs, without 0."
        if self.n_train != self.dim:
            yield f"dataset.n_train={self.n_train}: the training set is the unit vectors; it must be dim={self.dim}."
        if self.n_valid:
            yield f"dataset.n_valid={self.n_valid}: what is left to validate on is asked of; it must be 0."
        if not config.labels.several:
            yield (
                f"labels={config.labels.kind}: each bit of a permutation is an output; use labels=classes and "
                "loss=mse with dataset=permutation."
            )

    @classmethod
    def smallest(cls) -> list[str]:
        return ["labels=classes", "loss=mse", "dataset.dim=4", "dataset.n_train=4", "dataset.n_test=15"]

    def build(self, labels: Labels) -> Dataset:
        import torch

        from feature_lazy.data.prepare import Dataset

        image = stream(self.seed, "permutation").permutation(self.dim)
        asked = 1 + stream(self.seed, "permutation", "inputs").permutation(2**self.dim - 1)[: self.n_test]
        inputs = (asked[:, None] >> np.arange(self.dim)) & 1
        x = torch.from_numpy(np.concatenate([np.eye(self.dim), inputs]))
        classes = torch.from_numpy(np.concatenate([image, image[inputs.argmax(axis=1)]]))
        data = Dataset.of(x, classes, self.n_train, self.n_test, classes=classes)
        return replace(data, shape=self.shape, n_outputs=self.dim)


def bits(data: Dataset) -> Tensor:
    """Bits of the images of test patterns, (P_test, k) of bool: sums of those of the unit vectors."""
    from torch.nn.functional import one_hot

    return data.x_test @ one_hot(data.y_train, data.n_outputs).to(data.x_test) > 0
