"""Fit baselines to the training sets of stored runs, once for all runs that share what they depend on.

No code that a folder names is run.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.data.prepare import Dataset
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.runs.batch import Batch, build
from feature_lazy.runs.network import stored_config
from feature_lazy.runs.reading import Run
from feature_lazy.settings.cells import refusal
from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Loss
from feature_lazy.study.baselines import stored
from feature_lazy.study.baselines.base import Baseline, Task
from feature_lazy.study.baselines.kernels import KernelSet, kernel_set
from feature_lazy.study.baselines.stored import Stored
from feature_lazy.study.ensembles import margins

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beside:
    """What a baseline says beside a run.

    Attributes:
        run: the run.
        baseline: the baseline, as it was asked for.
        kernel: its kernel.
        found: its prediction.
    """

    run: Run
    baseline: Baseline
    kernel: str
    found: Stored

    @property
    def distance(self) -> float:
        """rms(F_run − F)/rms(F) over the test set at the end of the run."""
        expected = self.found.arrays["F_test"]
        return float(np.linalg.norm(self.run.outputs["F_test"] - expected) / np.linalg.norm(expected))

    @property
    def run_error(self) -> float:
        """The run's own error, as ``Stored.error``."""
        return error(self.run.outputs["F_test"], self.run.outputs["y_test"])


@dataclass
class Bench:
    """Baselines and kernels for the runs of a folder.

    Attributes:
        folder: where predictions are kept; None: nowhere.
        memory_limit: bytes; that of a run, by default, if None.
        data: where the files of their data lie, of runs that have any.
        problems: sentences on what could not be computed, each with for how many runs.
        remarks: sentences on what predictions are not, each with the ids of the runs.
    """

    folder: Path | None = None
    memory_limit: float | None = None
    data: Path | None = None
    problems: Counter[str] = field(default_factory=Counter)
    remarks: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def beside(self, runs: Sequence[Run], baselines: Sequence[Baseline], kernels: Sequence[str]) -> list[Beside]:
        """Every baseline on every kernel beside every run that it says something of."""
        found = []
        for kernel in map(stored.check_kernel, kernels):
            groups: dict[str, list[Run]] = {}
            for run in runs:
                groups.setdefault(stored.of(run.config, kernel), []).append(run)
            for group in groups.values():
                found += self._of_group(group, baselines, kernel)
        return found

    def _of_group(self, runs: Sequence[Run], baselines: Sequence[Baseline], kernel: str) -> Iterator[Beside]:
        """Runs that share a kernel."""
        known = stored.entries(self.folder) if self.folder else {}
        made: dict[str, Stored] = {}
        ready: tuple[KernelSet, Task, Dataset] | None = None
        for baseline in baselines:
            for run in runs:
                try:
                    config = _config(run, kernel, self.data)
                    settled = _settled(baseline, config, run)
                    name = stored.key(settled, kernel, run.config)
                    one = made.get(name)
                    if one is None and self.folder and name in known:
                        one = stored.read(self.folder, name, known[name])
                    if one is None:
                        ready = ready or self.ready(run, kernel)
                        one = _fitted(settled, *ready)
                        self._keep(name, settled, kernel, run, one)
                    made[name] = one
                    for remark in settled.remarks(config, kernel):
                        self.remarks[remark].add(run.run_id)
                    yield _beside(run, baseline, kernel, one)
                except (FeatureLazyError, ValueError) as error:
                    self.problems[f"{baseline.option_name} on {kernel}: {str(error).rstrip('.')}."] += 1

    def ready(self, run: Run, kernel: str) -> tuple[KernelSet, Task, Dataset]:
        """The kernel of a run, what it learns, and its data.

        Raises:
            FeatureLazyError: a run or a kernel that is refused.
        """
        config = _config(run, kernel, self.data)
        batch = build(config)
        batch = replace(batch, memory_limit=self.memory_limit or batch.memory_limit)
        kernels = kernel_set(kernel, batch, run, self.folder)
        kernels = replace(kernels, symmetric=not (kernel.startswith("infinite_ntk") and config.activation.by_surrogate))
        return kernels, task(batch), batch.dataset

    def _keep(self, name: str, baseline: Baseline, kernel: str, run: Run, one: Stored) -> None:
        if self.folder is None:
            return
        try:
            stored.write(self.folder, name, baseline, kernel, run.config, one)
        except OSError as error:
            log.warning("%s cannot be written (%s); it is computed again.", self.folder / stored.FILE, error.strerror)


def _beside(run: Run, baseline: Baseline, kernel: str, found: Stored) -> Beside:
    """A prediction beside a run.

    Raises:
        ConfigError: it is of other patterns.
    """
    if found.arrays["F_test"].shape != run.outputs["F_test"].shape:
        raise ConfigError("the run's outputs are of other patterns than its configuration says")
    return Beside(run, baseline, kernel, found)


def _config(run: Run, kernel: str, data: Path | None) -> Config:
    """The configuration of a run.

    Raises:
        ConfigError: one that needs code of the user's own, or a kernel that such networks do not have.
    """
    config = stored_config(run.config, data)
    if why := refusal(config):
        raise ConfigError(why)
    name, _, depth = kernel.partition("@")
    if name in stored.INFINITE:
        if not config.architecture.infinite:
            raise ConfigError(f"the limit of architecture={config.architecture.kind} is not known; take start or end")
        if config.parametrisation.exponents is not NTK:
            raise ConfigError("the parametrisation is not ntk; take start or end")
        if config.dynamics.train != ["all"]:
            raise ConfigError("only some of the weights are trained; take start or end")
        if config.seed.kind == "from_run":
            raise ConfigError("the runs start from stored ones; take start or end")
        if name == "infinite_ntk" and not config.leaves("prior"):
            raise ConfigError("the prior gives each network a kernel of its own; take infinite_nngp, start or end")
    if depth:
        if not hasattr(config.architecture, "depth"):
            raise ConfigError(f"architecture={config.architecture.kind} has no depth; take {name}")
        return replace(config, architecture=replace(config.architecture, depth=int(depth)))
    return config


def _settled(baseline: Baseline, config: Config, run: Run) -> Baseline:
    """The baseline with values of the run's own.

    Raises:
        ConfigError: a run that it is not for.
    """
    if problems := list(baseline.problems(config)):
        raise ConfigError(problems[0])
    return baseline.settled(config, run.summary.get("t", math.nan))


def task(batch: Batch) -> Task:
    """What the runs of a batch learn."""
    data, loss, held_out = batch.dataset, batch.loss, None
    if data.x_valid is not None and data.y_valid is not None:
        held_out = data.x_valid, least_squares(loss, data.y_valid, data.n_outputs)
    return Task(least_squares(loss, data.y_train, data.n_outputs), data.y_train, loss, held_out)


def least_squares(loss: Loss, y: Tensor, n_outputs: int) -> Tensor:
    """Targets of a least squares fit: c·y of mse, else y; a column for each class."""
    scale = getattr(loss, "target", 1.0)
    return scale * (y if n_outputs == 1 else torch.nn.functional.one_hot(y, n_outputs)).double()


def _fitted(baseline: Baseline, kernels: KernelSet, task: Task, data: Dataset) -> Stored:
    if not (kernels.symmetric or baseline.asymmetric):
        raise ConfigError("the kernel of surrogate gradients is not symmetric, which it asks for; take gp")
    made = baseline.fit(kernels, task)
    arrays, scalars = {"F_test": made.F_test.numpy()}, dict(made.scalars)
    if made.variance is not None:
        arrays["variance"] = made.variance.numpy()
    if made.variance is not None and made.F_test.dim() == 1 and bool((made.variance > 0).all()):
        y = least_squares(task.loss, data.y_test, data.n_outputs)
        scalars |= {"nll": float(made.log_loss(y).mean()), "coverage": float(made.covered(y).double().mean())}
    wrong = error(arrays["F_test"], data.y_test.cpu().numpy())
    return Stored(wrong, scalars, arrays)


def error(predictor: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of patterns with a margin of 0 or less; for real labels the mean of (F − y)²."""
    classes = np.issubdtype(labels.dtype, np.integer) or bool((np.abs(labels) == 1).all())
    return float((margins(predictor, labels) <= 0).mean() if classes else np.square(predictor - labels).mean())
