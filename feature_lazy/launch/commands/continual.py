"""Learn pairs of classes one after the other, by kernels on patterns that are stored, or drawn from a generator.

Task t is classes 2t and 2t + 1 of the runs' data, and which task a test pattern is of is known (arXiv:2112.13410). Of
each class are kept some training patterns, or a Gaussian mixture in its principal components; its classifier is ridge
regression with a kernel of the runs, as of feature-lazy baselines. Memory is numbers that are kept, in patterns.
"""

import argparse
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console, say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import data_argument, folder_argument

if TYPE_CHECKING:
    import pandas as pd

    from feature_lazy.study.continual import Coreset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    data_argument(parser)
    parser.add_argument("--kernel", default="infinite_ntk", metavar="KERNELS", help="kernels (default: infinite_ntk)")
    parser.add_argument("--memory", default="2,5,20", help="stored patterns of a class (default: 2,5,20)")
    parser.add_argument("--generated", default="60", help="patterns of a class that are drawn (default: 60)")
    parser.add_argument("--components", type=int, default=3, help="Gaussians of a class (default: 3)")
    parser.add_argument("--dimensions", type=int, default=12, help="principal components of a class (default: 12)")
    parser.add_argument("--ridge", type=float, default=1e-2, help="over the mean diagonal of the kernel")
    parser.add_argument("--draws", type=int, default=5, help="draws of the patterns for each run (default: 5)")


def call(options: argparse.Namespace) -> int:
    """Print a table for each kernel and each kind of runs that differ in their seed alone; 1 if a run was refused.

    Raises:
        ConfigError: arguments that are no numbers, or no kernels.
        StoreError: no complete run, or a damaged one.
    """
    from feature_lazy.core.errors import ConfigError
    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.baselines.stored import check_kernel
    from feature_lazy.study.continual import Coreset
    from feature_lazy.study.table import by_seed

    for name in ("components", "dimensions", "draws"):
        _numbers(f"--{name}", str(getattr(options, name)))
    if not 0 < options.ridge < float("inf"):
        raise ConfigError(f"--ridge {options.ridge:g}: must be a number above 0.")
    mixture = options.components, options.dimensions
    coresets = [Coreset(size) for size in _numbers("--memory", options.memory)]
    coresets += [Coreset(size, mixture) for size in _numbers("--generated", options.generated)]
    kernels, problems = [check_kernel(name) for name in options.kernel.split(",")], []
    for title, group in by_seed(load_sweep(options.folder)):
        for kernel in kernels:
            problems += _print(f"{title}, {kernel}", group, kernel, coresets, options)
    for problem in dict.fromkeys(problems):
        say(f"{problem.rstrip('.')}. ({counted(problems.count(problem), 'run')})", error=True)
    return 1 if problems else 0


def _print(
    title: str, group: "pd.DataFrame", kernel: str, coresets: "list[Coreset]", options: argparse.Namespace
) -> list[str]:
    """The table of runs that differ in their seed; what kept runs out of it."""
    import numpy as np
    from rich.table import Table

    from feature_lazy.core.errors import FeatureLazyError
    from feature_lazy.study.baselines.compute import Bench
    from feature_lazy.study.continual import continual
    from feature_lazy.study.estimate import average

    found, problems = [], []
    for run in group["run"]:
        try:
            tasks = continual(run, kernel, ridge=options.ridge, bench=Bench(data=options.data))
            found.append([(one.memory(tasks), one.accuracies(tasks, run, options.draws)) for one in coresets])
        except (FeatureLazyError, ValueError) as error:
            problems.append(str(error))
    if found:
        what = "runs" if len(found) > 1 else "draws"
        table = Table(title=f"Accuracy, {title}", caption=f"Mean over tasks. ±: 95 % over {what}.")
        for name in ("coreset", "patterns a class", "memory a class", "accuracy"):
            table.add_column(name, justify="left" if name == "coreset" else "right")
        for one, rows in zip(coresets, zip(*found, strict=True), strict=True):
            each = np.array([accuracies for _, accuracies in rows])
            mean = average(each.mean(1) if len(each) > 1 else each[0])
            kind = "stored" if one.mixture is None else "generated"
            table.add_row(kind, str(one.size), f"{rows[0][0]:.1f}", str(mean))
        console().print(table)
    return problems


def _numbers(name: str, text: str) -> list[int]:
    """Whole numbers of an argument.

    Raises:
        ConfigError: what is none, or below 1.
    """
    from feature_lazy.core.errors import ConfigError

    try:
        found = [int(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{name} {text}: must be whole numbers with commas between them.") from error
    if min(found) < 1:
        raise ConfigError(f"{name} {text}: must be 1 or more.")
    return found
