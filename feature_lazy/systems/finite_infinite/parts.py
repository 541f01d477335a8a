"""Training sets made of one: its parts, and images moved by a pixel; and regression in a precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.kernels import kernel_regression
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench, error
from feature_lazy.study.baselines.kernels import Between

Pair = tuple[Tensor, Tensor]
"""K on the training set, and between test and training patterns."""


@dataclass(frozen=True)
class Part:
    """A part of a training set with the whole test set, and both kernels of infinite width.

    Attributes:
        x: patterns, (P, d).
        y: what least squares aims at, (P,).
        tests: (P_test, d).
        labels: of the test set, (P_test,).
        shape: of a pattern.
        between: Θ∞ and Σ∞ of any patterns, by name.
    """

    x: Tensor
    y: Tensor
    tests: Tensor
    labels: Tensor
    shape: tuple[int, ...]
    between: dict[str, Between]

    @cached_property
    def ntk(self) -> Pair:
        """Θ∞."""
        return self._pair("ntk")

    @cached_property
    def nngp(self) -> Pair:
        """Σ∞."""
        return self._pair("nngp")

    def of(self, x: Tensor) -> Part:
        """The same labels on other patterns."""
        return replace(self, x=x)

    def regression(self, kernel: str, ridge: float) -> Tensor:
        """F on the test set, (P_test,).

        Raises:
            ValueError: a kernel that is singular.
        """
        train, onto = self.ntk if kernel == "ntk" else self.nngp
        return kernel_regression(train[None], onto[None], self.y, ridge=ridge)[0]

    def error(self, kernel: str, ridge: float) -> float:
        """Test error of regression."""
        return error(self.regression(kernel, ridge).numpy(), self.labels.numpy())

    def _pair(self, name: str) -> Pair:
        between = self.between[name]
        return between(self.x, None), between(self.tests, self.x)


def folds(bench: Bench, run: Run, count: int) -> Iterator[Part]:
    """The training set of a run in parts that follow each other, which keep the labels balanced.

    Raises:
        ConfigError: several outputs; see also ``Bench.ready``.
    """
    kernels, task, data = bench.ready(run, "infinite_ntk")
    sigma = bench.ready(run, "infinite_nngp")[0]
    if task.targets.dim() > 1:
        raise ConfigError("parts of a training set are compared for one output")
    size = len(data.x_train) // count // 2 * 2
    between = {"ntk": kernels.between, "nngp": sigma.between}
    for start in range(0, count * size, size):
        part = slice(start, start + size)
        x, tests = data.x_train[part].double(), data.x_test.double()
        yield Part(x, task.targets[part], tests, data.y_test.double(), data.shape, between)


def shifted(x: Tensor, shape: tuple[int, ...]) -> list[Tensor]:
    """Images moved by one pixel to each side, what comes in being 0, on the sphere |x|² = d again: four of (P, d).

    Raises:
        ConfigError: patterns that are no images.
    """
    if len(shape) != 3:
        raise ConfigError("only images can be moved by a pixel")
    images, moved = x.reshape(-1, *shape), []
    for axis, step in ((-1, 1), (-1, -1), (-2, 1), (-2, -1)):
        other = images.roll(step, axis)
        other.select(axis, 0 if step > 0 else -1).zero_()
        flat = other.reshape(len(x), -1)
        moved.append(flat * math.sqrt(flat.shape[1]) / flat.norm(dim=1, keepdim=True))
    return moved


def eigen_regression(k: Tensor, onto: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
    """K_test,train K⁻¹ y in a precision, without eigenvalues below P·ε of the largest: (P_test,) in float64."""
    values, vectors = torch.linalg.eigh(k.to(dtype))
    kept = values > len(k) * torch.finfo(dtype).eps * values[-1]
    vectors = vectors[:, kept]
    return ((onto.to(dtype) @ vectors) @ ((vectors.mT @ y.to(dtype)) / values[kept])).double()


def on_sphere(n: int, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Patterns on |x|² = 3, (n, 3), and a smooth odd target, as networks without biases have it, (n,)."""
    x = torch.from_numpy(stream(seed, "finite_infinite", name).standard_normal((n, 3)))
    x = x / x.norm(dim=1, keepdim=True)
    return math.sqrt(3) * x, torch.sin(2 * x[:, 2]) + x.prod(1)
