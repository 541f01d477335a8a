"""Check what initialisations have in common, and by how much they differ, against theory (arXiv:2106.10165).

Takes the overrides of train.py, such as activation=relu architecture.depth=6 width.h=60, and widths=30,60 depths=1,3
seeds=1000 first=0: a table of the variance K of each layer, the excess kurtosis of f, the mean and the variance of
Θ(x, x), and how fast it begins to move, for one pattern. Nothing is trained. Exits with 1 if a number is off.
"""

import argparse
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console, say

if TYPE_CHECKING:
    from rich.table import Table

    from feature_lazy.measure.initial import Check

DEFAULTS = {"widths": "", "depths": "", "seeds": "1000", "first": "0"}
"""Of the command's own words."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="as for train.py, and as said above")


def call(options: argparse.Namespace) -> int:
    """Print a table for each width and depth.

    Raises:
        ConfigError: a configuration that is refused, a network that theory does not know, or numbers that are none.
    """
    words = [word for word in options.words if word.partition("=")[0] not in DEFAULTS]
    own = {name: _numbers(options.words, name) for name in DEFAULTS}
    depths = [[f"architecture.depth={depth}"] for depth in own["depths"]] or [[]]
    widths = [[f"width.h={h}"] for h in own["widths"]] or [[]]
    [seeds], [first] = own["seeds"], own["first"]
    good = [_one([*words, *depth, *h], range(first, first + seeds)) for depth in depths for h in widths]
    return 0 if all(good) else 1


def _numbers(words: list[str], name: str) -> list[int]:
    """The last value of a word of the command's own, as whole numbers.

    Raises:
        ConfigError: something else, or several where one is meant.
    """
    from feature_lazy.core.errors import ConfigError

    least = {"seeds": 2, "first": 0}.get(name, 1)
    text = [DEFAULTS[name], *(word.partition("=")[2] for word in words if word.partition("=")[0] == name)][-1]
    parts = text.split(",") if text else []
    one = name in ("seeds", "first")
    if not all(part.isdecimal() and int(part) >= least for part in parts) or (one and len(parts) != 1):
        what = f"a whole number from {least} on" if one else "whole numbers such as 30,60"
        raise ConfigError(f"{name}={text}: must be {what}.")
    return [int(part) for part in parts]


def _one(words: list[str], seeds: range) -> bool:
    """Whether all numbers of one network agree."""
    from feature_lazy.data.build import build_data
    from feature_lazy.measure.initial import checkable, checks, initialisations, warnings
    from feature_lazy.settings.checks import validate
    from feature_lazy.settings.overrides import composed

    config = composed(words)
    validate(config)
    data = build_data(config)
    network = checkable(config.architecture.build(config, data))
    for sentence in warnings(network, len(seeds)):
        say(sentence, error=True)
    x = data.x_train[:1]
    found = checks(network, x, initialisations(network, x, seeds, drift=config.activation.smooth))
    sizes = ", ".join(map(str, dict.fromkeys(network.widths)))
    title = f"{config.activation.kind}, L = {len(network.widths)}, h = {sizes}: {len(seeds)} initialisations"
    console().print(_table(found, title))
    return all(check.agrees for check in found)


def _table(found: "list[Check]", title: str) -> "Table":
    from rich.table import Table

    table = Table(title=title)
    for column in ("quantity", "measured", "expected", ""):
        table.add_column(column, justify="left" if column == "quantity" else "right")
    for check in found:
        told = check.expected == check.expected
        slack = f" ± {check.next:.2g}" if check.next else ""
        table.add_row(
            check.name,
            f"{check.measured:.4g} ± {check.error:.2g}",
            f"{check.expected:.4g}{slack}" if told else f"order of {check.order:.2g}",
            "" if not told else "✓" if check.agrees else "✗ off",
        )
    return table
