"""Networks that start from a stored run: the option ``seed=from_run``.

A child is known by its parent: by the parent's run id and by the checksum of the weights that it stores. Where the
parent lies is no part of that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.runs.reading import Run, load_run
from feature_lazy.runs.series import WEIGHTS, stored_name
from feature_lazy.settings.cells import scientific
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.scales import Seed

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.runs.batch import Batch
    from feature_lazy.settings.config import Config

SAME = ("architecture", "parametrisation", "activation", "width")
"""Groups in which a child is as its parent."""


@option("seed", "from_run")
class FromRun(Seed):
    """Weights of a stored run, which was trained with observe.weights=ends; of all runs in a folder, member by member.

    On a command line it comes with alpha=raw alpha.value=1 centred=false, where these are not given.
    """

    run: str = key("", "folder of a run, results/runs/ID, or of results: a member for each of its seeds", science=False)
    at: str = key("end", "which weights of the parent: those of its start, or of its end", choices=("start", "end"))
    head: str = key(
        "keep",
        "the output layer; keep: the parent's; new: drawn anew; probe: fit to the training set by least squares",
        choices=("keep", "new", "probe"),
    )
    parent: str = key("", "run id of the parent; filled in")
    checksum: str = key("", "checksum of the parent's weights; filled in")

    def __post_init__(self) -> None:
        """Whoever trains it may start in another folder."""
        self.run = str(Path(self.run).absolute()) if self.run else ""

    def problems(self, config: Config) -> Iterator[str]:
        try:
            parents = self._parents()
        except (ConfigError, StoreError) as error:
            yield str(error)
            return
        for parent in parents:
            for group in SAME:
                here, there = scientific(getattr(config, group)), parent.config.get(group) or {}
                lacking = config.architecture.adapters if group == "architecture" else ()
                if {name: value for name, value in here.items() if name not in lacking or name in there} != there:
                    yield (
                        f"seed.run={self.run}: the parent has {group} {_difference(here, there)}; a network starts "
                        f"from one of the same architecture and width. The parent's layers: {_layers(parent)}."
                    )
            if config.centred == "parent":
                yield from self._without_predictor(config, parent)

    def _without_predictor(self, config: Config, parent: Run) -> Iterator[str]:
        """Why there is no F_parent to go on from."""
        if added := [name for name in config.architecture.adapters if getattr(config.architecture, name)]:
            yield f"centred=parent: the parent may be without the weights of architecture.{added[0]}; use false."
        if self.head != "keep":
            yield f"centred=parent: F_parent is that of the parent's output layer; use seed.head=keep, not {self.head}."
        if parent.config["dynamics"]["kind"] == "frozen_kernel":
            yield f"centred=parent: {parent.path} is a linearised network, which is no f of its weights; use false."

    def each(self) -> list[Seed]:
        """See ``Seed.each``.

        Raises:
            ConfigError: no run is named, or two have one seed.
            StoreError: a run that is not there, not complete, without weights, or another one than was meant.
        """
        return [
            dataclasses.replace(self, run=str(run.path), parent=run.run_id, checksum=run.manifest["files"][FILE])
            for run in self._parents()
        ]

    def seeds(self) -> list[int]:
        return [run.columns["seed"] for run in self._parents()]

    def begin(self, batch: Batch, seed: int) -> Mapping[str, Tensor]:
        """See ``Seed.begin``.

        Raises:
            ConfigError: a parent of another architecture, width or input; the layer is named.
        """
        import torch

        layout = batch.architecture.layout
        stored = {name: torch.from_numpy(w.copy()).double() for name, w in self._weights(self._parents()[0]).items()}
        own = {*layout.last} if self.head != "keep" else set()
        fresh = [name for name in layout.shapes if name in layout.added and name not in stored]
        if fresh:
            initial = batch.architecture.init(seed)
            stored |= {name: initial[name] for name in fresh}
        for name, shape in layout.shapes.items():
            if name not in own and tuple(stored.get(name, torch.empty(0)).shape) != shape:
                there = f"is {tuple(stored[name].shape)} in the parent" if name in stored else "is not in the parent"
                head = " Or give it a head of its own: seed.head=new or probe." if name in layout.last else ""
                raise ConfigError(
                    f"seed.run={self.run}: layer {name} {there} and {shape} here; a network starts from one of the "
                    f"same architecture, width and input.{head}"
                )
        if surplus := [name for name in stored if name not in layout.shapes]:
            raise ConfigError(f"seed.run={self.run}: layer {surplus[0]} of the parent is not in this network.")
        if not own:
            return stored
        from feature_lazy.runs.heads import drawn, probed

        started = {**stored, **drawn(batch.architecture, seed)}
        return started if self.head == "new" else probed(batch, started)

    def predictor(self) -> list[tuple[float, dict[str, Any]]]:
        """F of the parent, as a sum of networks: a factor and weights by name for each."""
        return terms(self._parents()[0], self.at)

    def _weights(self, run: Run) -> dict[str, Any]:
        return run.weights(0 if self.at == "start" else -1)

    def _parents(self) -> list[Run]:
        """The runs to start from, by seed.

        Raises:
            ConfigError: see ``each``.
            StoreError: see ``each``.
        """
        if not self.run:
            raise ConfigError("seed.run: name a stored run to start from, such as seed.run=results/runs/ID.")
        folder = Path(self.run)
        within = folder / "runs" if (folder / "runs").is_dir() else None
        paths = sorted(path for path in within.iterdir() if path.is_dir()) if within else [folder]
        runs = sorted((whole(path) for path in paths), key=lambda run: run.columns["seed"])
        seeds = [run.columns["seed"] for run in runs]
        if not runs:
            raise StoreError(f"seed.run={self.run}: there is no run in it.")
        if twice := next((seed for seed in seeds if seeds.count(seed) > 1), None):
            raise ConfigError(f"seed.run={self.run}: several runs have the seed {twice}; name one of its runs.")
        for run in runs if self.parent else ():
            if (run.run_id, run.manifest["files"][FILE]) != (self.parent, self.checksum):
                raise StoreError(
                    f"seed.run={self.run}: it holds other weights than those of the run {self.parent} that this job "
                    "was made for; put that run back, or give the command again."
                )
        return runs


FILE = stored_name(WEIGHTS)


def whole(path: Path) -> Run:
    """A complete run with weights.

    Raises:
        StoreError: it is not.
    """
    run = load_run(path)
    if not run.done:
        raise StoreError(f"The run {path} is not complete, so nothing can start from it; train it to its end first.")
    if FILE not in run.manifest["files"]:
        raise StoreError(f"The run {path} has no weights to start from; train it with observe.weights=ends.")
    return run


def terms(run: Run, at: str) -> list[tuple[float, dict[str, Any]]]:
    """F of a run as a sum of networks: factors and weights by name; α(f − f₀), αf, or α(f − f₀) + F of its parent."""
    alpha, centred = run.columns["alpha"], run.config.get("centred", True)
    found = [(alpha, run.weights(-1 if at == "end" else 0))]
    if centred is not False:
        found.append((-alpha, run.weights(0)))
    if centred == "parent":
        before = run.manifest["resolved"]["seed"]
        found += terms(whole(Path(before["run"])), before["at"])
    return found


def _difference(here: Mapping[str, Any], there: Any) -> str:
    """How a group of the parent differs, in the keys that do."""
    there = there if isinstance(there, dict) else {}
    names = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    return ", ".join(f"{name}={there.get(name)} and not {here.get(name)}" for name in names)


def _layers(run: Run, most: int = 6) -> str:
    """Names and shapes of a run's weights, for a person."""
    shapes = [f"{name} {tuple(weight.shape)}" for name, weight in run.weights().items()]
    return ", ".join(shapes if len(shapes) <= most else [*shapes[:most], "…"])
