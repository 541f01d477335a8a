"""Kernels of a stored run: of infinite width, of its network at a moment, or linear; by blocks where P² is large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.kernels.exact import tangent_kernel
from feature_lazy.networks.base import GaussianNetwork, Network
from feature_lazy.networks.layout import Params
from feature_lazy.networks.limits.limit import last_features, limit_kernels
from feature_lazy.runs.batch import Batch
from feature_lazy.runs.reading import Run
from feature_lazy.runs.resumption import check_inputs, inputs
from feature_lazy.study.baselines.stored import HIDDEN

MATRICES = 5
"""P × P numbers held at a time: a kernel, another or its eigenvectors, and what a block of them is made of."""
Between = Callable[[Tensor, Tensor | None], Tensor]
"""K of patterns x1 with x2, or with themselves."""


@dataclass(frozen=True)
class KernelSet:
    """A kernel on a training and a test set, computed where it is asked for. Entries are patterns × outputs.

    Attributes:
        between: K of any patterns.
        x_train: (P, d).
        x_test: (P_test, d).
        memory_limit: bytes.
        scratch: a folder that a kernel may be put in; None: the system's for such files.
        outputs: C of a kernel over outputs; 1 of what all outputs have in common.
        drawn: Σ∞ where F begins as a Gaussian process of that covariance; None where it begins as it does.
        initial: F at the start on both sets, (P·C,) and (P_test·C,), where it is not 0.
        network: of which Σ∞ is the kernel, for what goes from layer to layer; None of other kernels.
        symmetric: whether K(x, x′) = K(x′, x), which it is not of surrogate gradients.
        features: of patterns (n, d), (n, D), whose inner products are K, where they are as few as hidden units.
    """

    between: Between
    x_train: Tensor
    x_test: Tensor
    memory_limit: float
    scratch: Path | None
    outputs: int = 1
    drawn: KernelSet | None = None
    initial: tuple[Tensor, Tensor] | None = None
    network: Network | None = None
    symmetric: bool = True
    features: Callable[[Tensor], Tensor] | None = None

    @property
    def n(self) -> int:
        """Rows of K on the training set, P·C."""
        return len(self.x_train) * self.outputs

    @property
    def fits(self) -> bool:
        """Whether P² does."""
        return MATRICES * 8.0 * self.n**2 <= self.memory_limit

    @property
    def too_large(self) -> str:
        """That it does not."""
        needed = MATRICES * 8.0 * self.n**2
        return f"P = {self.n} takes {needed:.2g} bytes of memory, more than the limit of {self.memory_limit:.2g}"

    @cached_property
    def train(self) -> Tensor:
        """K on the training set, (P·C, P·C).

        Raises:
            ConfigError: it does not fit memory.
        """
        if not self.fits:
            raise ConfigError(f"{self.too_large}; raise memory_limit, or take krr or nearest, which go by blocks.")
        return self.between(self.x_train, None).double()

    @property
    def test_train(self) -> Tensor:
        """K of test with training patterns, (P_test·C, P·C)."""
        return torch.cat(list(self.test_blocks()))

    @property
    def train_diagonal(self) -> Tensor:
        """K(x, x) of training patterns, (P·C,)."""
        return self._diagonal(self.x_train)

    @property
    def test_diagonal(self) -> Tensor:
        """K(x, x) of test patterns, (P_test·C,)."""
        return self._diagonal(self.x_test)

    def test_blocks(self) -> Iterator[Tensor]:
        """Rows of ``test_train`` after each other."""
        size = chunk_size(len(self.x_test), MATRICES * 8.0 * self.n * self.outputs, self.memory_limit)
        for part in chunks(len(self.x_test), size):
            yield self.between(self.x_test[part], self.x_train).double()

    def block(self, rows: slice, columns: slice) -> Tensor:
        """Part of ``train``."""
        c = self.outputs
        i, j = (slice(part.start // c, -(-part.stop // c)) for part in (rows, columns))
        inner = (slice(part.start - at.start * c, part.stop - at.start * c) for part, at in ((rows, i), (columns, j)))
        return self.between(self.x_train[i], self.x_train[j]).double()[tuple(inner)]

    def onto_tests(self, weights: Tensor) -> Tensor:
        """K_test,train a for a of training entries, (P·C,) or (P, C)."""
        return torch.cat([block @ weights for block in self.test_blocks()])

    def flat(self, targets: Tensor) -> Tensor:
        """Targets (P,) or (P, C) as the kernel's rows have them, less what F is at the start."""
        y = targets.double().reshape(-1) if self.outputs > 1 else targets.double()
        return y if self.initial is None else y - self.initial[0].reshape(y.shape)

    def unflat(self, found: Tensor) -> Tensor:
        """F of the test set as it began, and what has been learnt: (P_test,) or (P_test, C)."""
        found = found if self.initial is None else found + self.initial[1].reshape(found.shape)
        return found.reshape(-1, self.outputs) if self.outputs > 1 else found

    def _diagonal(self, x: Tensor) -> Tensor:
        size = chunk_size(len(x), 8.0 * MATRICES * len(x), self.memory_limit)
        size = min(size, 256)  # off the diagonal all is thrown away
        return torch.cat([self.between(x[part], None).double().diagonal() for part in chunks(len(x), size)])


def linear(x1: Tensor, x2: Tensor | None) -> Tensor:
    """x·x′/d."""
    return x1 @ (x1 if x2 is None else x2).mT / x1.shape[1]


def kernel_set(name: str, batch: Batch, run: Run, scratch: Path | None) -> KernelSet:
    """The kernel of that name for a run.

    Args:
        name: one of ``keys.KERNELS``, or ``t=…``.
        batch: the run's, in memory.
        run: a stored run.
        scratch: see ``KernelSet``.

    Raises:
        ConfigError: a kernel that the run's network does not have, or a time without weights.
        StoreError: a run without weights.
    """
    data, network, limit = batch.dataset, batch.architecture, batch.memory_limit
    patterns = (data.x_train, data.x_test, limit, scratch)
    if name == "linear":
        return KernelSet(linear, *patterns, features=lambda x: x.double() / x.shape[1] ** 0.5)
    if name.startswith("infinite_"):

        def infinite(which: str) -> Callable[[Tensor, Tensor | None], Tensor]:
            return lambda x1, x2: getattr(limit_kernels(network, x1, x2), which)

        drawn = KernelSet(infinite("nngp"), *patterns) if batch.centred is False else None
        which = name.partition("@")[0].removeprefix("infinite_")
        return KernelSet(infinite(which), *patterns, drawn=drawn, network=network if which == "nngp" else None)
    hidden, name = name.startswith(HIDDEN), name.removeprefix(HIDDEN)
    weights = _weights(name, batch, run)
    params = network.layout.unflatten(weights)
    if hidden:
        return _of_hidden_layer(network, params, patterns)

    def between(x1: Tensor, x2: Tensor | None) -> Tensor:
        return tangent_kernel(network, params, x1, x2, memory_limit=limit)[0]

    initial = None
    if batch.centred is False and name == "start":
        f = [batch.alpha * outputs_in_chunks(network, weights, x, limit)[0].double() for x in patterns[:2]]
        initial = (f[0], f[1])
    return KernelSet(between, *patterns, outputs=network.n_outputs, initial=initial)


def _of_hidden_layer(
    network: Network, params: Params, patterns: tuple[Tensor, Tensor, float, Path | None]
) -> KernelSet:
    """Inner products of what the output layer sees.

    Raises:
        ConfigError: a network whose layers are not known.
    """
    if not isinstance(network, GaussianNetwork):
        raise ConfigError(f"{type(network).__name__}: what its output layer sees is not known; take start or end")

    def features(x: Tensor) -> Tensor:
        return last_features(network, params, x, patterns[2])[0].double()

    def between(x1: Tensor, x2: Tensor | None) -> Tensor:
        own = features(x1)
        return own @ (own if x2 is None else features(x2)).mT

    return KernelSet(between, *patterns, features=features)


def _weights(name: str, batch: Batch, run: Run) -> Tensor:
    """Weights of a run at a moment, (1, N).

    Raises:
        ConfigError: a time without weights.
        StoreError: a run without weights, or one whose start this machine does not draw again.
    """
    numbers = run.weight_numbers
    if name == "start" and 0 not in numbers:
        w0 = batch.w0(batch.cells)
        f = outputs_in_chunks(batch.architecture, w0, batch.dataset.x_train, batch.memory_limit)
        check_inputs(run.path, run.inputs, inputs(batch.content, w0[0], f[0]))
        return w0
    check_inputs(run.path, run.inputs, {"data": batch.content})
    number = numbers[0] if name == "start" else _number(name, run)
    named = {name: torch.from_numpy(array[None].copy()) for name, array in run.weights_at(number).items()}
    return batch.architecture.layout.flatten(named).to(batch.dataset.x_train)


def _number(name: str, run: Run) -> int:
    """Number of the observation with weights.

    Raises:
        ConfigError: there is none at that time.
        StoreError: the run has no weights.
    """
    run.weights()  # says so if there are none
    times = {number: run.rows[number]["t"] for number in run.weight_numbers}
    if name == "end":
        return max(times)
    wanted = float(name.removeprefix("t="))
    for number, t in times.items():
        if abs(t - wanted) <= 1e-6 * max(abs(t), abs(wanted)):
            return number
    raise ConfigError(
        "there are no weights at that time; observe.weights=all and observe=times have those of any times"
    )
