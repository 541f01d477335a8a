"""Learning curves of the runs' own kernels: kernel regression beside its theory, at the start and the end of training.

Regression learns from n of N test patterns and is asked on the others, so that the kernel at the end has seen none of
their labels. Theory is the eigenframework of arXiv:2311.14646 with the kernel's spectrum on all N. Kernels at the start
and the end are those that observe.kernel.matrices=true stores; --kernel infinite_ntk and infinite_nngp are the limits
of the runs' network. Beside them: exponents of the tails, λ ~ i^−a and v² ~ i^−b, and the share R* of training in test
error at the best ridge that they foretell.
"""

import argparse
import math
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console
from feature_lazy.launch.commands.selection import data_argument, folder_argument

if TYPE_CHECKING:
    from feature_lazy.study.learning_curve import Population


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    data_argument(parser)
    parser.add_argument("--kernel", default="start,end", help="of start, end, infinite_ntk, infinite_nngp")
    parser.add_argument("--n", default="16,32,64", help="patterns to learn from, at most N/2")
    parser.add_argument("--ridge", default="0", help="over the mean diagonal of the kernel")
    parser.add_argument("--k", default="inf", help="Gaussian features of the kernel; inf: the kernel itself")
    parser.add_argument("--draws", type=int, default=8, help="draws of the n patterns for each run")
    parser.add_argument("--seed", type=int, default=0, help="decides the draws")


def call(options: argparse.Namespace) -> int:
    """Print a table for each kind of runs that differ in their seed alone.

    Raises:
        ConfigError: arguments that are no numbers, no kernels, or that theory has no answer for.
        StoreError: no complete run, or none with what is asked for.
    """
    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.learning_curve import populations
    from feature_lazy.study.table import by_seed

    sizes, draws = [int(n) for n in _numbers("--n", options.n, 1)], options.draws
    ridges, features = _numbers("--ridge", options.ridge, 0), _numbers("--k", options.k, 1)
    _numbers("--draws", str(draws), 1)
    for title, group in by_seed(load_sweep(options.folder)):
        found = {name: populations(list(group["run"]), name, options.data) for name in options.kernel.split(",")}
        _print(title, found, (sizes, ridges, features), draws, options.seed)
    return 0


def _print(title: str, kernels: "dict[str, list[Population]]", grid: tuple, draws: int, seed: int) -> None:
    from rich.table import Table

    from feature_lazy.study.learning_curve import NEAR, curve

    sizes, ridges, features = grid
    table = Table(
        title=f"Mean squared error on unseen patterns, {title}", caption="±: 95 % over seeds, or draws of one."
    )
    for name in ("kernel", "n", "ridge", "k", "theory", "measured", "measured/theory"):
        table.add_column(name, justify="left" if name == "kernel" else "right")
    words = []
    for kernel, found in kernels.items():
        words.append(_tails(kernel, found))
        for point in curve(found, sizes, ridges=ridges, features=features, draws=draws, seed=seed):
            k = "∞" if math.isinf(point.k) else f"{point.k:g}"
            numbers = f"{point.theory:.4f}", str(point.measured), str(point.ratio)
            table.add_row(kernel, str(point.n), f"{point.ridge:g}", k, *numbers)
        if max(sizes) > NEAR * found[0].size:
            words.append(f"{kernel}: theory is for n up to N/10 = {found[0].size // 10}; beyond it is off by more.")
    console().print(table)
    for line in words:
        console().print(line, highlight=False)


def _tails(kernel: str, found: "list[Population]") -> str:
    """The exponents of the tails, means over runs, in words."""
    import numpy as np

    from feature_lazy.study.learning_curve import optimal_fit

    a, b = np.mean([one.tails for one in found], axis=0)
    ratios = [ratio for one in found if (ratio := optimal_fit(one)) is not None]
    fit = f"R* = {np.mean(ratios):.3f}" if len(ratios) == len(found) else "R*: cannot tell, an exponent is below 1"
    return f"{kernel}: N = {found[0].size}, λ ~ i^−{a:.2f}, v² ~ i^−{b:.2f}, {fit}."


def _numbers(name: str, text: str, least: float) -> list[float]:
    """Numbers of an argument.

    Raises:
        ConfigError: what is no number, or below the least.
    """
    from feature_lazy.core.errors import ConfigError

    try:
        found = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{name} {text}: must be numbers with commas between them.") from error
    if not all(one >= least for one in found) or (name != "--k" and any(map(math.isinf, found))):
        raise ConfigError(f"{name} {text}: must be {least:g} or more.")
    return found
