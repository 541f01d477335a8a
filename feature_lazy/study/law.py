"""A law: a function of the runs' table to what it measures, with its paper, and what it needs, beside it.

You write these, in a module of your own, and name it by ``--law pkg.module.function`` or by an entry point::

    @law("weight change, my exponent", paper="1906.08034", where="Fig. 9", needs=("weights/change",), expected=-1)
    def my_exponent(table):
        return slope(table, "weights/change", (100.0, np.inf))

A law that needs more than this returns ``verdict.Reading`` itself, one or several; none where it says nothing of
these runs.
"""

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.words import meant
from feature_lazy.settings.plugins import load_plugins
from feature_lazy.settings.registry import HOME, own_modules
from feature_lazy.settings.sources import here

if TYPE_CHECKING:
    import pandas as pd

    from feature_lazy.study.estimate import Estimate
    from feature_lazy.study.verdict import Bound, Expected, Reading

ARTICLE = "1906.08034"
"""The paper of this package's own laws, as arXiv numbers it."""
ENTRY_POINT = "feature_lazy.laws"
"""Group of entry points: each names a module that declares laws."""
CONVERGED = ("converged", "stationary")
KINDS = "kinds"
"""``across`` of a law that compares the kinds of runs of a whole folder."""
AXES = ("alpha", "width", "seed", "observe")
"""Groups that runs of one kind may differ in: the two runs of a pair have α, width and seed in common."""
DECLARES = re.compile(rb"^@law\(", re.MULTILINE)
FIRST = tuple(f"{HOME}.study.{name}" for name in ("change_laws", "ahead", "growth", "ensemble_laws"))
"""Modules of laws in the order in which tables show them; any others come after."""

Measured = Union["Estimate", "Reading", Iterable["Reading"], None]


@dataclass(frozen=True)
class Joined:
    """Runs that are equal but for one key of the configuration, put side by side: ``study.joined``.

    Attributes:
        key: a group, such as ``dynamics``, or a key, such as ``centred`` or ``architecture.bias``.
        one: its value in the first run of a pair; of a group the name of an option, or of a preset such as
            ``linearised``.
        other: its value in the second run; None: any other.
    """

    key: str
    one: Any
    other: Any = None


@dataclass(frozen=True)
class Law:
    """What a paper says of runs, and how that is measured.

    Attributes:
        name: what is said.
        paper: who says it, as arXiv numbers it.
        where: figure or equation there.
        needs: columns that at least one run must have a value of.
        measure: from the table of runs of one kind to an estimate; None where there is none. See ``Measured``.
        expected: what the estimate should be, or be above or below; None if ``measure`` gives readings.
        lacks: what a sweep needs for it, said where there is no estimate.
        outcomes: how runs must have ended to count; empty: any.
        across: ``""`` for a law of runs of one kind, a column (``L``, ``P``) for one of runs of several values of it,
            ``KINDS`` for one of a whole folder, or which runs are put side by side: ``measure`` is then given a table
            of pairs, of one kind at a time.
        quiet: whether nothing is said of runs without what it needs, rather than that they lack it.
    """

    name: str
    paper: str
    where: str
    needs: tuple[str, ...]
    measure: "Callable[[pd.DataFrame], Measured]"
    expected: "float | Expected | Bound | None" = None
    lacks: str = "more runs"
    outcomes: tuple[str, ...] = CONVERGED
    across: str | Joined = ""
    quiet: bool = False

    def __call__(self, table: "pd.DataFrame") -> Measured:
        """Measure it."""
        return self.measure(table)

    @property
    def module(self) -> str:
        """Where it is declared."""
        return self.measure.__module__

    @property
    def foreign(self) -> bool:
        """Whether it comes from outside this package."""
        return self.module.split(".")[0] != HOME


_declared: dict[tuple[str, str], Law] = {}
_failed: dict[str, str] = {}
_order: dict[str, int] = {}


def law(
    name: str,
    *,
    paper: str,
    where: str = "",
    needs: Sequence[str] = (),
    expected: "float | Expected | Bound | None" = None,
    lacks: str = "more runs",
    outcomes: Sequence[str] = CONVERGED,
    across: str | Joined = "",
    quiet: bool = False,
) -> "Callable[[Callable[[pd.DataFrame], Measured]], Law]":
    """A decorator: the function measures a law. The arguments are those of ``Law``.

    Raises:
        ConfigError: another law of this paper has the name, both modules are named; or a law that joins runs by what
            tells the runs of one kind apart.
    """
    if isinstance(across, Joined) and across.key.split(".")[0] in AXES:
        raise ConfigError(
            f"The law “{name}” joins runs by {across.key}, which pairs have in common; measure its slope."
        )

    def declare(measure: "Callable[[pd.DataFrame], Measured]") -> Law:
        made = Law(name, paper, where, tuple(needs), measure, expected, lacks, tuple(outcomes), across, quiet)
        _register(made)
        return made

    return declare


def _register(made: Law) -> None:
    other = _declared.get((made.name, made.paper))
    if other and _place(other) != _place(made):
        raise ConfigError(
            f"The law “{made.name}” of {made.paper} is declared twice: in {other.module} and in {made.module}. "
            "Rename one of them."
        )
    _declared[made.name, made.paper] = made


def _place(one: Law) -> tuple[str, str]:
    return one.module, one.measure.__qualname__


def declared() -> list[Law]:
    """All laws: of this package in the order of its modules, whoever imported them; then of others, as they came."""
    if not _order:
        for module in (*FIRST, *own_modules(DECLARES)):
            _order.setdefault(module, len(_order))
            importlib.import_module(module)
        _failed.update(load_plugins(ENTRY_POINT))
    return sorted(_declared.values(), key=lambda one: _order.get(one.module, len(_order)))


def failed() -> list[str]:
    """A sentence for each plug-in whose laws are missing because it could not be imported."""
    declared()
    return [f"The laws of the plug-in {plugin} are missing: {why}." for plugin, why in _failed.items()]


def add(path: str) -> Law:
    """Import a law that a user names, so that ``declared`` has it, and no other law of its module.

    Raises:
        ConfigError: it cannot be imported, or is no law.
    """
    known = declared()  # its name may be taken
    module, _, name = path.rpartition(".")
    if not module:
        raise ConfigError(f"--law {path}: name its module too, such as module.{path}.")
    try:
        home = importlib.import_module(module)
    except ConfigError:
        raise
    except Exception as error:
        where = ""
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            where = " It must be on Python's path: set PYTHONPATH to the folder that holds it." + here(module)
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(f"--law {path}: its module cannot be imported ({why}).{where}") from error
    for other in declared():
        if other not in known:
            del _declared[other.name, other.paper]
    if not hasattr(home, name):
        laws = [one for one, value in vars(home).items() if isinstance(value, Law)]
        raise ConfigError(f"--law {path}: {module} has no {name}; its laws: {', '.join(laws)}.{meant(name, laws)}")
    found = getattr(home, name)
    if not isinstance(found, Law):
        raise ConfigError(f"--law {path}: it is no law; put @law(…) of feature_lazy.study.law above the function.")
    _register(found)
    return found
