"""Check how λ_max of the Fisher matrix grows with the width at the start, normalised or not, against theory.

Takes the overrides of train.py, with parametrisation=standard, such as activation=relu labels=classes. Nothing is
trained, and each width has as many patterns as units. Exits with 1 if an exponent is off.
"""

import argparse
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

    from feature_lazy.measure.sharpness import Growth

WIDTHS = (40, 80, 160)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="values of width.h (default: 40 80 160)")
    parser.add_argument("--seeds", type=int, default=8, help="initialisations of each width (default: 8)")


def call(options: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        ConfigError: a configuration that is refused, or a network that is not fully connected.
    """
    from feature_lazy.core.errors import ConfigError
    from feature_lazy.data.build import build_data
    from feature_lazy.measure.sharpness import sharpness_check
    from feature_lazy.networks.fully_connected import FullyConnected
    from feature_lazy.settings.checks import validate
    from feature_lazy.settings.overrides import composed

    widths = sorted(set(options.widths))
    networks, patterns = [], []
    for h in widths:
        config = composed([*options.overrides, f"width.h={h}", f"dataset.n_train={h}"])
        if config.architecture.kind != "fully_connected":
            raise ConfigError(
                f"architecture={config.architecture.kind}: theory is of fully connected networks; use fully_connected."
            )
        validate(config)
        data = build_data(config)
        net = config.architecture.build(config, data)
        assert isinstance(net, FullyConnected)
        networks.append(net)
        patterns.append(data.x_train)
    found = sharpness_check(networks, patterns, seeds=options.seeds)
    console().print(_table(found, f"λ_max of the Fisher matrix: exponents of h = {widths[0]} … {widths[-1]}"))
    return 0 if all(growth.agrees for growth in found) else 1


def _table(found: "list[Growth]", title: str) -> "Table":
    from rich.table import Table

    table = Table(title=title)
    for column in ("normalisation", "narrowest", "widest", "measured", "expected", ""):
        table.add_column(column, justify="left" if column == "normalisation" else "right")
    for growth in found:
        table.add_row(
            growth.name,
            f"{growth.values[0]:.3g}",
            f"{growth.values[-1]:.3g}",
            f"{growth.measured:+.2f} ± {growth.error:.2f}",
            "+1" if growth.expected else "0 or less",
            "✓" if growth.agrees else "✗ off",
        )
    return table
