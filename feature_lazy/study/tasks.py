"""Sums of what tasks have added to one network: runs that start from one parent, each with a task of its own.

τ_t = w_t − w₀ is what training on task t has added. Heads are constants of the tasks: f_t(x; w) has the output layer
with which run t began. Ortiz-Jimenez, Favero and Frossard 2023 (arXiv:2305.12827).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.kernels.first_order import FirstOrder, first_order
from feature_lazy.runs.network import StoredNetwork, stored_network
from feature_lazy.runs.reading import Run

NONLINEAR, LINEARISED, POST_HOC = "nonlinear", "linearised", "post-hoc"
"""Networks that were trained; linear ones that were; and what those trained have added, put into the linear ones."""
SCALES = tuple(np.linspace(0, 2, 21).tolist())
"""Factors of sums and of negations that are tried."""
CONTROL = 0.95
"""Of the accuracy on other tasks that a negation may not go below."""


@dataclass(frozen=True)
class Task:
    """What one run has learnt.

    Attributes:
        name: of its data.
        network: with data.
        start: w₀ with the run's own head, (1, N).
        vector: τ, (1, N), 0 for the head.
        linear: whether f is f₀ + J₀(w − w₀).
    """

    name: str
    network: StoredNetwork
    start: Tensor
    vector: Tensor
    linear: bool

    def outputs(self, added: Tensor, of: str = "test") -> Tensor:
        """f on the patterns of a set, with this task's head, of weights w₀ + ``added`` (1, N): (P, C)."""
        x, net = self._set(of)[0], self.network
        if self.linear:
            first = self._first(of)
            flat = first.outputs + first.push_forward(added)
        else:
            flat = outputs_in_chunks(net.architecture, self.start + added, x, net.memory_limit)
        return flat[0].unflatten(0, (len(x), -1))

    def chosen(self, added: Tensor, of: str = "test") -> Tensor:
        """Class of each pattern, (P,); of one output its sign."""
        found = self.outputs(added, of)
        return found.argmax(1) if found.shape[1] > 1 else found[:, 0].sign()

    def accuracy(self, added: Tensor, of: str = "test") -> float:
        """Fraction of a set with the right class."""
        return float((self.chosen(added, of) == self._set(of)[1]).double().mean())

    def _set(self, of: str) -> tuple[Tensor, Tensor]:
        data = self.network.data
        x, y = (data.x_test, data.y_test) if of == "test" or data.x_valid is None else (data.x_valid, data.y_valid)
        assert y is not None
        return x, y

    def _first(self, of: str) -> FirstOrder:
        return self._linear[of]

    @cached_property
    def _linear(self) -> dict[str, FirstOrder]:
        net = self.network
        params = net.architecture.layout.unflatten(self.start)
        return {
            of: first_order(net.architecture, params, self._set(of)[0], net.memory_limit) for of in ("test", "valid")
        }


@dataclass(frozen=True)
class Arithmetic:
    """Tasks of one parent, of one kind.

    Attributes:
        tasks: two or more.
    """

    tasks: list[Task]

    def total(self, scale: float = 1.0) -> Tensor:
        """a Σ τ."""
        return scale * torch.stack([task.vector for task in self.tasks]).sum(0)

    @cached_property
    def single(self) -> float:
        """Mean accuracy of each task's own network."""
        return float(np.mean([task.accuracy(task.vector) for task in self.tasks]))

    def added(self, scale: float = 1.0, of: str = "test") -> float:
        """Accuracy of w₀ + a Σ τ over that of the task's own network, mean over tasks."""
        total = self.total(scale)
        return float(np.mean([task.accuracy(total, of) / task.accuracy(task.vector, of) for task in self.tasks]))

    @cached_property
    def best(self) -> float:
        """The a of ``SCALES`` with which the sum is best on validation patterns, of test patterns where none are."""
        return max(SCALES, key=lambda a: self.added(a, "valid"))

    def disentanglement(self, scales: Sequence[float] = (1.0,)) -> np.ndarray:
        """ξ(a, b) = Σ_t E_{x∈D_t}[class at w₀ + α_tτ_t ≠ class at w₀ + aτ₁ + bτ₂], mean over pairs of tasks: (n, n)."""
        found = np.zeros((len(scales), len(scales)))
        pairs = list(combinations(self.tasks, 2))
        for one, other in pairs:
            alone = [[task.chosen(a * task.vector) for a in scales] for task in (one, other)]
            for i, j in product(range(len(scales)), repeat=2):
                both = scales[i] * one.vector + scales[j] * other.vector
                for task, own in zip((one, other), (alone[0][i], alone[1][j]), strict=True):
                    found[i, j] += float((task.chosen(both) != own).double().mean())
        return found / len(pairs)

    def negated(self, scale: float = 1.0, of: str = "test") -> tuple[float, float]:
        """Accuracies at w₀ − aτ_t, means over t: on the task itself, and on the others, which are the control."""
        own, others = [], []
        for task in self.tasks:
            own.append(task.accuracy(-scale * task.vector, of))
            others += [other.accuracy(-scale * task.vector, of) for other in self.tasks if other is not task]
        return float(np.mean(own)), float(np.mean(others))

    @cached_property
    def forgetting(self) -> float:
        """The a of ``SCALES`` that forgets most valid patterns, of those that keep ``CONTROL`` of the others."""
        control = self.negated(0.0, "valid")[1]
        found = {a: self.negated(a, "valid") for a in SCALES}
        kept = [a for a in SCALES if found[a][1] >= CONTROL * control]
        return min(kept, key=lambda a: found[a][0])

    @cached_property
    def superposition(self) -> float:
        """‖f(Στ) − Σf(τ_t) + (T − 1)f₀‖/‖f(Στ) − f₀‖ on the test patterns of all tasks: 0 where f is linear in w."""
        wrong, moved = 0.0, 0.0
        for task in self.tasks:
            start, whole = task.outputs(0 * task.vector), task.outputs(self.total())
            parts = torch.stack([task.outputs(one.vector) - start for one in self.tasks]).sum(0)
            wrong += float((whole - start - parts).square().sum())
            moved += float((whole - start).square().sum())
        return float(np.sqrt(wrong / moved))


def arithmetic(runs: Sequence[Run], data: Path | None = None) -> dict[str, dict[int, Arithmetic]]:
    """Tasks by kind and seed: ``NONLINEAR`` and ``POST_HOC`` of networks, ``LINEARISED`` of linearised ones.

    Args:
        runs: of several tasks, which differ in their data or labels, with weights at both ends.
        data: where the files of their data lie, of those that have any.

    Returns:
        Seeds that have all tasks of a kind, and kinds that have any.

    Raises:
        ConfigError: fewer than two tasks, two runs of one, or runs that tasks cannot be of.
        StoreError: other parents, heads that were trained, or runs without weights.
    """
    found: dict[tuple[bool, int], dict[str, Task]] = {}
    for run in runs:
        task = _task(run, data)
        key = json.dumps([run.config.get(name) for name in ("dataset", "labels")], sort_keys=True)
        own = found.setdefault((task.linear, run.columns.get("seed", 0)), {})
        if key in own:
            raise ConfigError(
                f"{run.path} and {own[key].network.run.path} are two networks of one task, seed and kind; name folders "
                "in which each task has one."
            )
        own[key] = task
    known = {key for own in found.values() for key in own}
    if len(known) < 2:
        raise ConfigError("Sums need two tasks: runs that start from one parent and differ in dataset or labels.")
    whole = {place: [own[key] for key in sorted(known)] for place, own in found.items() if set(own) == known}
    for tasks in whole.values():
        _check_start(tasks)
    kinds: dict[str, dict[int, Arithmetic]] = {NONLINEAR: {}, LINEARISED: {}, POST_HOC: {}}
    for (linear, seed), tasks in sorted(whole.items()):
        kinds[LINEARISED if linear else NONLINEAR][seed] = Arithmetic(tasks)
        if not linear:
            put = [Task(one.name, one.network, one.start, one.vector, linear=True) for one in tasks]
            kinds[POST_HOC][seed] = Arithmetic(put)
    return {kind: by_seed for kind, by_seed in kinds.items() if by_seed}


def _task(run: Run, data: Path | None) -> Task:
    """What a run has learnt.

    Raises:
        ConfigError: F = α(f − f₀), or a kernel that was frozen elsewhere than at the start.
        StoreError: a head that was trained.
    """
    network = stored_network(run, data)
    dynamics, frozen = network.config.dynamics, network.config.dynamics.kind == "frozen_kernel"
    if network.config.centred is not False:
        raise ConfigError(f"{run.path}: classes of sums are those of F = αf; train it with centred=false.")
    if frozen and getattr(dynamics, "at", "") != "start":
        raise ConfigError(f"{run.path}: its kernel is not that of the start; train it with dynamics=linearised.")
    start, end = network.weights(0), network.weights(-1)
    layout = network.architecture.layout
    vector = end - start
    parts = dict(zip(layout.shapes, vector.split(layout.sizes, dim=1), strict=True))
    if moved := [name for name in layout.last if bool(parts[name].any())]:
        raise StoreError(
            f"{run.path}: its head {moved[0]} was trained; tasks have heads that stay: name the other weights in "
            "dynamics.train."
        )
    return Task(str(run.columns.get("dataset")), network, start, vector, linear=frozen)


def _check_start(tasks: Sequence[Task]) -> None:
    """Hold the weights at which tasks start against each other, without their heads.

    Raises:
        StoreError: two start from different ones.
    """
    first = tasks[0]
    last = first.network.architecture.layout.last
    for task in tasks[1:]:
        here, there = (one.network.run.weights(0) for one in (first, task))
        if same := [name for name in here if name not in last]:
            different = [name for name in same if name not in there or not np.array_equal(here[name], there[name])]
            if different or here.keys() != there.keys():
                name = (different or sorted(here.keys() ^ there.keys()))[0]
                raise StoreError(
                    f"{first.network.run.path} and {task.network.run.path} start from different weights {name}; tasks "
                    "start from one parent (seed=from_run)."
                )
