"""What kernels predict beside a sweep: ridge regression, Gaussian process, SVM and others, held against every run.

Kernels: infinite_ntk and infinite_nngp of infinite width, linear, and of each network: start, end and t=TIME, of which
the last two need weights (observe.weights=ends or all), or of its last hidden layer alone: hidden_start, hidden_end.
Those of infinite width are of the runs' own depth, or of others with --depth 1,60 (infinite_ntk@60). Keys of baselines
take several values, such as --ridge 1e-6,1e-2. Predictions are computed once and kept in DIR/baselines.json and
DIR/baselines/.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import parse_bytes
from feature_lazy.core.terminal import console, say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import data_argument, folder_argument
from feature_lazy.settings.checks import check_option
from feature_lazy.settings.registry import find, options

if TYPE_CHECKING:
    from feature_lazy.study.baselines.base import Baseline

GROUP = "baseline"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command, with a flag for each key of a baseline."""
    folder_argument(parser)
    data_argument(parser)
    names = ", ".join(options(GROUP))
    parser.add_argument("--names", default="krr", metavar="NAMES", help=f"baselines, of {names} (default: krr)")
    parser.add_argument("--kernel", default="infinite_ntk", metavar="KERNELS", help="kernels (default: infinite_ntk)")
    depth = "hidden layers of kernels of infinite width (default: those of the runs)"
    parser.add_argument("--depth", metavar="DEPTHS", help=depth)
    parser.add_argument("--memory-limit", metavar="SIZE", help="such as 4GB (default: that of a run)")
    for name, users in _keys().items():
        what = "; ".join(f"{user}: {f.metadata['doc']} (default: {f.default})" for user, f in users.items())
        parser.add_argument(f"--{name}", metavar="VALUES", help=what.replace("%", "%%"))


def _keys() -> dict[str, dict[str, Any]]:
    """Keys of baselines by name, each with the baselines that have it."""
    found: dict[str, dict[str, Any]] = {}
    for user, made in options(GROUP).items():
        for f in fields(made):
            if f.name != "kind":
                found.setdefault(f.name, {})[user] = f
    return found


def call(options: argparse.Namespace) -> int:
    """Compute what is missing, and print a row for each baseline, kernel, width and √h·α; 1 if something was refused.

    Raises:
        ConfigError: a baseline or a kernel that there is not, or a value that is refused.
        StoreError: no complete run, or a damaged one.
    """
    chosen = list(_chosen(options))
    kernels = list(_kernels(options.kernel.split(","), options.depth))

    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.baselines.compute import Bench
    from feature_lazy.study.baselines.tables import frame, over_seeds

    limit = parse_bytes(options.memory_limit) if options.memory_limit else None
    bench = Bench(Path(options.folder), limit, options.data)
    rows = over_seeds(frame(bench.beside(load_sweep(options.folder).runs, chosen, kernels)))
    if len(rows):
        console().print(_table(rows))
    for remark, runs in bench.remarks.items():
        say(f"{remark} ({counted(len(runs), 'run')})")
    for problem, count in bench.problems.items():
        say(f"{problem} ({counted(count, 'run')})", error=True)
    return 1 if bench.problems else 0


def _kernels(names: "list[str]", depths: str | None) -> Iterator[str]:
    """Every kernel, those of infinite width at every depth that is given."""
    for name in names:
        several = depths.split(",") if depths and name.startswith("infinite_") else []
        yield from [f"{name}@{depth}" for depth in several] or [name]


def _chosen(options: argparse.Namespace) -> "Iterator[Baseline]":
    """Every baseline with every combination of the values that its keys are given.

    Raises:
        ConfigError: a name, a key that no chosen baseline has, or a value that there is not.
    """
    names = options.names.split(",")
    given = {name: getattr(options, name) for name in _keys() if getattr(options, name) is not None}
    if lost := [name for name in given if not any(name in _own(find(GROUP, user)) for user in names)]:
        raise ConfigError(f"--{lost[0]}: none of {', '.join(names)} has it; it is of {', '.join(_keys()[lost[0]])}.")
    for name in names:
        made = find(GROUP, name)
        types = _own(made)
        values = {
            key: [_value(key, types[key], word) for word in given[key].split(",")] for key in given if key in types
        }
        for combination in itertools.product(*values.values()):
            one = made(**dict(zip(values, combination, strict=True)))
            check_option(one, name)
            yield one


def _own(made: type) -> dict[str, Any]:
    return {f.name: f.type for f in fields(made)}


def _value(name: str, kind: Any, word: str) -> Any:
    """A value of a key as its type has it.

    Raises:
        ConfigError: a word that is none.
    """
    try:
        return kind(word)
    except ValueError as error:
        raise ConfigError(f"--{name} {word}: must be of {kind.__name__}.") from error


def _table(rows: Any) -> Any:
    from rich.table import Table

    table = Table(
        title="Baselines beside the runs",
        caption="distance: rms(F_run − F)/rms(F) on the test set. ±: 95 % over seeds.",
    )
    for name in ("baseline", "kernel", "its error", "h", "√h·α", "error of the run", "distance"):
        table.add_column(name, justify="left" if name in {"baseline", "kernel"} else "right")
    last: tuple[str, ...] = ()
    for row in rows.to_dict("records"):
        named = (row["baseline"], row["kernel"])
        own = ("", "") if named == last else named
        last = named
        table.add_row(
            *own,
            _short(row["error"]),
            f"{row['h']}",
            f"{row['sqrt_h_alpha']:.3g}",
            *map(_short, (row["run_error"], row["distance"])),
        )
    return table


def _short(found: Any) -> str:
    """An estimate; without an error bar where all seeds agree, as on a kernel that they share."""
    return f"{found.value:.3f}" if found.error == 0 else str(found)
