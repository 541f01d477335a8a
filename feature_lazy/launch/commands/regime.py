"""Train a network at a few α, and say whether it is lazy or learns features, with the evidence.

Takes the overrides of train.py: the question is asked at alpha.value, of the first seed.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

    from feature_lazy.measure.regime import Regime


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py")
    parser.add_argument(
        "--factors",
        type=float,
        nargs="+",
        default=[0.01, 0.1, 10.0, 100.0],
        help="further α, over alpha.value (default: 0.01 0.1 10 100)",
    )
    parser.add_argument(
        "--figure", type=Path, help="file of the figure; default: regime.png, in output_dir=DIR if that is given"
    )


def call(options: argparse.Namespace) -> int:
    """Train, print table and answer, and draw the figure.

    Raises:
        ConfigError: a configuration that is refused.
        StoreError: the figure cannot be written.
    """
    import torch

    from feature_lazy.measure.regime import regime
    from feature_lazy.networks.initial import initial_weights
    from feature_lazy.runs.batch import build
    from feature_lazy.settings.cells import sqrt_h_alpha
    from feature_lazy.settings.overrides import composed
    from feature_lazy.study.figures.saving import save_figure

    config = composed(options.overrides)
    if config.threads:
        torch.set_num_threads(config.threads)
    batch = build(config)
    data, network, n = batch.dataset, batch.architecture, config.observe.kernel.probe or config.observe.n_test
    weights = {
        name: weight.to(data.x_train) for name, weight in initial_weights(network.init, batch.cells[0].seed).items()
    }
    found = regime(
        network,
        weights,
        (data.x_train, data.y_train),
        (data.x_test[:n], data.y_test[:n]),
        alpha=batch.alpha,
        others=options.factors,
        loss=batch.loss,
    )
    given = any(word.startswith("output_dir=") for word in options.overrides)
    path = options.figure or (Path(config.output_dir) if given else Path()) / "regime.png"
    out = console()
    out.print(_table(found, sqrt_h_alpha(config) / batch.alpha))
    out.print(found.words, highlight=False)
    save_figure(found.figure(), path, below=None, dpi=150)
    out.print(f"Figure: {path}")
    return 0


def _table(found: "Regime", root_h: float) -> "Table":
    from rich.table import Table

    table = Table(title="At the end of training: changes of kernel and weights, error of the linearisation")
    for column in ("α", "√h·α", "kernel", "weights", "linearised", "refreshes", "test error", "regime"):
        table.add_column(column, justify="right")
    for row in found.rows:
        table.add_row(
            f"{row.alpha:.3g}",
            f"{row.alpha * root_h:.3g}",
            f"{row.kernel_change:.3g}",
            f"{row.weight_change:.3g}",
            f"{row.linearisation_error:.3g}",
            f"{row.kernels or '–'}",
            f"{row.test_error:.1%}",
            row.regime if row.outcome == "converged" else f"{row.regime}, {row.outcome}",
            style="bold" if row.alpha == found.alpha else "",
        )
    return table
