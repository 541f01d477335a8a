"""Check how preactivations, output and their first updates grow with the width, against theory.

Takes the overrides of train.py, such as architecture=cnn parametrisation=mup. Exits with 1 if an exponent is off.
"""

import argparse
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

    from feature_lazy.measure.coordinates import Coordinate


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py")
    parser.add_argument("--widths", type=int, nargs="+", help="values of width.h")
    parser.add_argument("--seeds", type=int, default=8, help="initialisations of each width (default: 8)")
    parser.add_argument("--patterns", type=int, default=32, help="patterns to train and measure on (default: 32)")


def call(options: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        ConfigError: a configuration that is refused, or a network whose layers are not known.
    """
    from dataclasses import replace

    from feature_lazy.core.errors import ConfigError
    from feature_lazy.data.build import build_data
    from feature_lazy.measure.coordinates import coordinate_check
    from feature_lazy.networks.base import GaussianNetwork
    from feature_lazy.runs.batch import build_loss
    from feature_lazy.settings.checks import validate
    from feature_lazy.settings.overrides import composed

    config = composed(options.overrides)
    kind = config.architecture.kind
    usual = config.architecture.check_widths
    if not usual or config.architecture.hidden_layers is None:
        raise ConfigError(f"architecture={kind}: its layers are not known, so there is nothing to compare with theory.")
    widths = sorted(set(options.widths or usual))
    wide = [replace(config, width=replace(config.width, h=h)) for h in widths]
    for one in wide:
        validate(one)
    networks, data = [], build_data(config)
    for one in wide:
        net = one.architecture.build(one, data)
        assert isinstance(net, GaussianNetwork)  # what has widths to check is
        networks.append(net)
    x, y = data.x_train[: options.patterns], data.y_train[: options.patterns]
    found = coordinate_check(networks, x, y, build_loss(config, data), seeds=options.seeds)
    title = f"{kind}, parametrisation {config.parametrisation.kind}: exponents of n = {networks[0].last_fan_in} … "
    console().print(_table(found, f"{title}{networks[-1].last_fan_in}"))
    return 0 if all(coordinate.agrees for coordinate in found) else 1


def _table(found: "list[Coordinate]", title: str) -> "Table":
    from rich.table import Table

    table = Table(title=title)
    for column in ("layer", "quantity", "narrowest", "widest", "measured", "expected", ""):
        table.add_column(column, justify="left" if column in ("layer", "quantity") else "right")
    last = found[-1].name.split("/")[0]
    for coordinate in found:
        layer, what = coordinate.name.split("/")
        limits = dict.fromkeys(f"{exponent:+.1f}" for exponent in (coordinate.lowest, coordinate.expected))
        table.add_row(
            "output" if layer == last else layer,
            "‖z‖" if what == "rms" else "α‖ż‖ at t = 0",
            f"{coordinate.values[0]:.3g}",
            f"{coordinate.values[-1]:.3g}",
            f"{coordinate.measured:+.2f} ± {coordinate.error:.2f}",
            " … ".join(limits),
            "✓" if coordinate.agrees else "✗ off",
        )
    return table
