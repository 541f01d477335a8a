"""The table of the systems, ``systems.yaml``, and the sweep of each, ``experiment.yaml`` in its folder."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.words import meant

HERE = Path(__file__).parent
RESULTS = Path("results/systems")
STATES = ("claim", "weaker law", "example")
"""What a system's law is: the paper's claim as it stands, what holds here in its place, or none."""
GRIDS = "grids"
"""Of a size, what each of several sweeps into one folder adds to what they have in common."""
OUTPUT, HERE_IS = "output_dir=", "${folder}"
"""Folder of a grid that is a stage before others, such as ``${folder}/pre``, and what stands for the sweep's own."""
LAPTOP, REPLICATION = "laptop", "replication"
"""The size that is meant where none is named, and the seeds that replicate it."""


@dataclass(frozen=True)
class Claim:
    """A law of a system, as its row has it.

    Attributes:
        law: its name.
        expected: what is measured if it holds: a number, or a ``verdict.Bound`` in words.
        tolerance: how far from it still counts, relative to it unless it is 0.
    """

    law: str
    expected: float | str
    tolerance: float = 0.0


@dataclass(frozen=True)
class System:
    """A row of the table.

    Attributes:
        folder: its name.
        paper: as arXiv numbers it.
        options: what its folder declares, ``group=name``.
        observables: columns that its laws measure.
        laws: its claims.
        sizes: of its sweep, the small one first.
        seconds: of one core, which the small one takes.
        state: one of ``STATES``.
    """

    folder: str
    paper: str
    options: tuple[str, ...]
    observables: tuple[str, ...]
    laws: tuple[Claim, ...]
    sizes: tuple[str, ...]
    seconds: float
    state: str

    @property
    def claim(self) -> str:
        """What it says, in one sentence."""
        return importlib.import_module(f"feature_lazy.systems.{self.folder}").CLAIM

    @property
    def note(self) -> str:
        """What of the paper does not come out at this size, in a sentence or two; empty if all of it does."""
        return getattr(importlib.import_module(f"feature_lazy.systems.{self.folder}"), "NOTE", "")

    @property
    def command(self) -> str:
        """What trains and judges it."""
        return f"feature-lazy reproduce {self.folder}"


@dataclass(frozen=True)
class Sweep:
    """What trains the runs that a system's laws are judged on.

    Attributes:
        system: whose.
        size: one of its sizes; another than the first changes and adds keys of that.
        replication: whether with other seeds, and another split of the data.
    """

    system: System
    size: str = LAPTOP
    replication: bool = False

    @property
    def folder(self) -> Path:
        """Where its runs lie, apart for each size and for the replication."""
        size = [self.size] if self.size != LAPTOP else []
        return RESULTS / "-".join([self.system.folder, *size, *([REPLICATION] if self.replication else [])])

    def grids(self) -> list[list[str]]:
        """What ``train.py -m`` takes, in turn and without the sweep's output folder: options of groups first.

        Raises:
            ConfigError: a size that there is not.
        """
        system = self.system
        if self.size not in system.sizes:
            raise ConfigError(f"size={self.size}: {system.folder} has the sizes {', '.join(system.sizes)}.")
        parts: Any = OmegaConf.to_container(OmegaConf.load(HERE / system.folder / "experiment.yaml"))
        names = dict.fromkeys([system.sizes[0], self.size, *([REPLICATION] if self.replication else [])])
        keys = {key: value for name in names for key, value in parts[name].items()}
        return [_words(keys | one) for one in keys.pop(GRIDS, [{}])]

    def stages(self, folder: Path) -> list[tuple[Path, list[str]]]:
        """The grids as they are trained into a folder: where the runs of each lie, and what ``train.py -m`` takes.

        A grid whose runs others start from has a folder of its own; those in the sweep's are what laws see.

        Raises:
            ConfigError: see ``grids``.
        """
        found = []
        for grid in self.grids():
            words = [word.replace(HERE_IS, str(folder)) for word in grid]
            own = [word for word in words if word.startswith(OUTPUT)]
            words += [] if own else [f"{OUTPUT}{folder}"]
            found.append((Path(own[-1].removeprefix(OUTPUT)) if own else folder, words))
        return found


def _words(keys: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(keys.items(), key=lambda item: "." in item[0])]


def systems() -> list[System]:
    """All rows, in the order of the file."""
    rows: Any = OmegaConf.to_container(OmegaConf.load(HERE / "systems.yaml"))
    return [_system(row) for row in rows]


def _system(row: dict[str, Any]) -> System:
    lists = {name: tuple(row[name]) for name in ("options", "observables", "sizes")}
    return System(**{**row, **lists, "laws": tuple(Claim(**law) for law in row["laws"])})


def find(name: str) -> System:
    """A system by its name.

    Raises:
        ConfigError: there is none; the message has those that there are.
    """
    known = {system.folder: system for system in systems()}
    if name not in known:
        raise ConfigError(f"{name}: there is no such system; there are {', '.join(known)}.{meant(name, known, 1)}")
    return known[name]
