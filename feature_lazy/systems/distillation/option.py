"""Options ``labels=distilled`` and ``loss=distillation``: a student of a stored run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError, DataError, FeatureLazyError, StoreError
from feature_lazy.core.streams import stream
from feature_lazy.data.labels import Parity
from feature_lazy.runs.from_run import FILE, terms, whole
from feature_lazy.settings.cells import scientific
from feature_lazy.settings.groups import Labels, Loss
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.schema import from_plain

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.runs.reading import Run
    from feature_lazy.settings.config import Config
    from feature_lazy.settings.groups import Data

SIZES = ("n_train", "n_test", "n_valid", "content")
"""Keys of the data in which a student may differ from its teacher."""


@option("labels", "distilled")
class Distilled(Labels):
    """Logits of a stored run, mixed with the truth: real labels, to which loss=distillation pulls (arXiv:2010.10090).

    The truth is what the teacher was trained on. Training and validation patterns have the effective logit, test
    patterns ±1.
    """

    teacher: str = key(
        "", "folder of a run, results/runs/ID, or of results with one run, with observe.weights=ends", science=False
    )
    soft: float = key(0.6, "ρ, the teacher's part of the loss, at most 1", gt=0)
    temperature: float = key(2.0, "T", gt=0)
    corrupt: float = key(0.0, "fraction of patterns of which the teacher says the opposite, at most 1", ge=0)
    parent: str = key("", "run id of the teacher; filled in")
    checksum: str = key("", "checksum of the teacher's weights; filled in")

    real = True

    def __post_init__(self) -> None:
        """Whoever trains it may start in another folder."""
        self.teacher = str(Path(self.teacher).absolute()) if self.teacher else ""

    @property
    def chosen_by(self) -> str:
        return f" labels.teacher={self.teacher}"

    def problems(self, config: Config) -> Iterator[str]:
        for name in ("soft", "corrupt"):
            if (value := getattr(self, name)) > 1:
                yield f"labels.{name}={value:g}: must be at most 1."
        if config.dataset.own_labels:
            yield f"labels=distilled: {config.labelled_by} has labels of its own; use data whose labels are a rule's."
            return
        try:
            run = self._run()
        except (ConfigError, StoreError) as error:
            yield str(error)
            return
        data, there = scientific(config.dataset), run.config["dataset"]
        for name in sorted({*data, *there} - {*SIZES}):
            if data.get(name) != there.get(name):
                yield (
                    f"labels.teacher={self.teacher}: the teacher has dataset.{name}={there.get(name)} and not "
                    f"{data.get(name)}; a student learns from patterns of the same data and split."
                )
        if run.config["dynamics"]["kind"] == "frozen_kernel":
            yield f"labels.teacher={self.teacher}: a linearised network is no f of its weights; train another teacher."
        if self._truth.several or self._truth.real:
            yield f"labels.teacher={self.teacher}: it learnt labels={self._truth.kind}; a teacher is for y = ±1."

    def settled(self) -> Labels:
        """See ``Labels.settled``.

        Raises:
            ConfigError: no run is named.
            StoreError: a run that is not there, not complete, without weights, or another one than was meant.
        """
        run = self._run()
        return dataclasses.replace(self, teacher=str(run.path), parent=run.run_id, checksum=run.manifest["files"][FILE])

    def labelled(self, data: Data) -> Dataset:
        """See ``Labels.labelled``.

        Raises:
            ConfigError: no run is named.
            DataError: patterns that are not the teacher's.
            StoreError: a run that cannot be read.
        """
        from feature_lazy.runs.network import stored_network

        made = self._truth.labelled(data)
        # Of a teacher's own configuration no file is opened: the student says where the same data lie.
        network = stored_network(self._run(), Path(data.path) if data.of_files else None)  # type: ignore[attr-defined]
        seen = network.data.x_train.double()
        same = min(len(seen), len(made.x_train))
        if not bool((seen[:same] == made.x_train[:same].to(network.data.x_train).double()).all()):
            raise DataError(f"labels.teacher={self.teacher}: it was trained on other patterns than these.")
        pulled = dataclasses.replace(
            made, y_train=self._pulled(network, made.x_train, made.y_train, data.seed, "train")
        )
        if made.x_valid is None or made.y_valid is None:
            return pulled
        return dataclasses.replace(
            pulled, y_valid=self._pulled(network, made.x_valid, made.y_valid, data.seed, "valid")
        )

    def _pulled(self, network: Any, x: Tensor, y: Tensor, seed: int, which: str) -> Tensor:
        """Effective logits of patterns x (P, d) with the truth y (P,)."""
        import torch

        from feature_lazy.dynamics.flow import outputs_in_chunks
        from feature_lazy.systems.distillation.logits import effective_logits

        x = x.to(network.data.x_train)
        logits = torch.zeros(len(x), dtype=torch.float64)
        for factor, weights in terms(network.run, "end"):
            outputs = outputs_in_chunks(network.architecture, network.flat(weights), x, network.memory_limit)
            logits += factor * outputs[0].double()
        wrong = torch.from_numpy(stream(seed, "distilled", which).random(len(x)) < self.corrupt)
        return effective_logits(torch.where(wrong, -logits, logits), y, self.soft, self.temperature)

    def unit(self, names: Sequence[int]) -> int:
        return self._truth.unit(names)

    def in_use(self, names: Sequence[int]) -> list[int]:
        return self._truth.in_use(names)

    def cycle(self, names: Sequence[int]) -> list[int]:
        return self._truth.cycle(names)

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        return self._truth.values(classes, names, targets)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["loss=distillation"]

    @cached_property
    def _truth(self) -> Labels:
        """What the teacher was trained on; parity where there is none, which ``problems`` says."""
        try:
            return from_plain(self._run().config).labels
        except FeatureLazyError:
            return Parity()

    def _run(self) -> Run:
        """The teacher.

        Raises:
            ConfigError: see ``settled``.
            StoreError: see ``settled``.
        """
        if not self.teacher:
            named = f"the run {self.parent}, whose logits these labels are" if self.parent else "a stored run"
            raise ConfigError(f"labels.teacher: name {named}, such as labels.teacher=results/runs/ID.")
        folder = Path(self.teacher)
        within = sorted(path for path in (folder / "runs").glob("*") if path.is_dir())
        if len(within) > 1:
            raise ConfigError(f"labels.teacher={self.teacher}: there are {len(within)} runs in it; name one of them.")
        run = whole(within[0] if within else folder)
        if self.parent and (run.run_id, run.manifest["files"][FILE]) != (self.parent, self.checksum):
            raise StoreError(
                f"labels.teacher={self.teacher}: it holds other weights than those of the run {self.parent} that this "
                "job was made for; put that run back, or give the command again."
            )
        return run


@option("loss", "distillation")
class Distillation(Loss):
    """ρ·H(σ(z_t/T), σ(F/T)) + (1−ρ)·H(1{y>0}, σ(F)), less what it is at best: for labels=distilled, which have ρ and T.

    With D(F) = ρ·ln(1 + e^{F/T}) + (1−ρ)·ln(1 + e^F) and the effective logit z, where D′ is what both ask for, it is
    D(F) − D(z) − D′(z)(F − z) (arXiv:2010.10090).
    """

    margin_tol: float = key(0.01, "training stops at |F − z| < margin_tol", gt=0)

    takes = ("real",)
    only_with = "labels=distilled"

    @property
    def stop_margin(self) -> float:
        """1 − margin_tol."""
        return 1 - self.margin_tol

    def margin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 1 - (labels - outputs).abs()

    def problems(self, config: Config) -> Iterator[str]:
        if not isinstance(config.labels, Distilled):
            yield f"loss=distillation: labels={config.labels.kind} have no teacher; use {self.only_with}."

    def for_labels(self, labels: Labels) -> Loss:
        assert isinstance(labels, Distilled)
        return Divergence(self.margin_tol, soft=labels.soft, temperature=labels.temperature)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["labels=distilled"]

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See ``Loss.__call__``.

        Raises:
            ConfigError: always: ρ and T are not known.
        """
        raise ConfigError("loss=distillation: ρ and T are those of labels=distilled; use both together.")


@dataclass
class Divergence(Distillation):
    """The loss with its ρ and T."""

    soft: float = 1.0
    temperature: float = 1.0

    @property
    def curvature(self) -> float:  # type: ignore[override]
        """ρ/4T² + (1−ρ)/4, at F = 0."""
        return self.soft / (4 * self.temperature**2) + (1 - self.soft) / 4

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        from torch.nn.functional import softplus

        t = self.temperature

        def size(z: Tensor) -> Tensor:
            return self.soft * softplus(z / t, threshold=40) + (1 - self.soft) * softplus(z, threshold=40)

        slope = self.soft / t * (labels / t).sigmoid() + (1 - self.soft) * labels.sigmoid()
        return size(outputs) - size(labels) - slope * (outputs - labels)
