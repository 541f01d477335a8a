"""The panels of the dashboard by theme: what is drawn against what. Every name is a key that runs really have.

History keys (``kernel/change``, ``t``) are the observables of a run, config keys (``alpha``, ``h``) its columns, and
summary keys what it ends with; ``tests/study/test_dashboard.py`` holds them against a run.
"""

import hashlib
from collections.abc import Mapping

import wandb_workspaces.reports.v2 as wr
from wandb_workspaces.reports.v2.interface import Panel

from feature_lazy.measure.quantity import Quantity, quantity_of
from feature_lazy.study.labels import USUAL

Themes = dict[str, list[Panel]]

MAX_LINES = 200
"""Cells drawn in one panel; W&B's own limit is 10, fewer than one row of a phase diagram has."""
ALPHA, X, H = wr.Config("alpha"), wr.Config("sqrt_h_alpha"), wr.Config("h")
WALL_TIME = "RelativeTime(Process)"
# Blue is lazy, red is feature training, white is a kernel change of 1, as in the figures of any sweep.
DIVERGING = ("#2166ac", "#f7f7f7", "#b2182b")
SEQUENTIAL = ("#440154", "#21918c", "#fde725")


def _over_t(title: str, *metrics: str, each: str | None = None, log_y: bool = True) -> wr.LinePlot:
    """Observables against t, logarithmic: a line for each group of the run table, the mean of its runs ± std. error.

    Args:
        title: of the panel.
        metrics: observables.
        each: in their place, a regular expression for the names of all that are wanted.
        log_y: whether the values are on a logarithmic axis, too.
    """
    return wr.LinePlot(
        title=title,
        x="t",
        y=list(metrics),
        metric_regex=each,
        log_x=True,
        log_y=log_y,
        title_x="training time t",
        groupby_aggfunc="mean",
        groupby_rangefunc="stderr",
        smoothing_type="none",
        max_runs_to_show=MAX_LINES,
        # Buckets are equally wide in t, so all of a logarithmic grid's early times would fall into the first one.
        point_visualization_method="sampling",
    )


def _quantity(name: str, known: Mapping[str, Quantity] = USUAL) -> wr.LinePlot:
    """An observable against t, by its label and its scale."""
    one = quantity_of(name, known)
    return _over_t(one.label[0].upper() + one.label[1:], name, log_y=one.scale == "log")


def _over_x(title: str, y: str | wr.Metric, log_y: bool = True) -> wr.ScatterPlot:
    """What runs end with against √h·α, coloured by the width: where widths collapse, colours lie on each other."""
    y = wr.SummaryMetric(y) if isinstance(y, str) else y
    colours = _gradient(SEQUENTIAL)
    return wr.ScatterPlot(title=title, x=X, y=y, z=H, log_x=True, log_y=log_y, log_z=True, gradient=colours)


def _phases(title: str, x: wr.Config, summary: str) -> wr.ScatterPlot:
    """A point for each run at its α (or √h·α) and h, coloured by a value that it ends with."""
    colour = wr.SummaryMetric(summary)
    plot = wr.ScatterPlot(title=title, x=x, y=H, z=colour, log_x=True, log_y=True, gradient=_gradient(SEQUENTIAL))
    if summary == "kernel/change":
        # Symmetric in the logarithm, so that 1 is in the middle.
        plot.log_z, plot.range_z, plot.gradient = True, (1e-3, 1e3), _gradient(DIVERGING)
    return plot


def _gradient(colours: tuple[str, ...]) -> list[wr.GradientPoint]:
    step = 100 / (len(colours) - 1)
    return [wr.GradientPoint(color=colour, offset=step * index) for index, colour in enumerate(colours)]


def phase_diagram() -> list[Panel]:
    """Kernel change and test error over α × h and √h·α × h, and the laws along √h·α."""
    return [
        _phases("Kernel change over α and h", ALPHA, "kernel/change"),
        _phases("Kernel change over √h·α and h", X, "kernel/change"),
        _over_x("Kernel change against √h·α (Fig. 5a)", "kernel/change"),
        _phases("Test error over α and h", ALPHA, "test/error"),
        _phases("Test error over √h·α and h", X, "test/error"),
        _over_x("Test error against √h·α (Fig. 3d)", "test/error", log_y=False),
        _over_x("Half-loss time against √h·α (Fig. 5b)", "t_half"),
        _over_x("Weight change against √h·α (Fig. 9)", "weights/change"),
    ]


def kernel() -> list[Panel]:
    """The tangent kernel on the probe set along training; the last two show what is recorded on request."""
    return [
        *(_quantity(f"kernel/{name}") for name in ("change", "norm", "trace", "alignment")),
        _over_t("Largest eigenvalues (observe.kernel.eigenvalues)", each="^kernel/eigenvalue_[0-9]+$"),
        _over_t("Change of each layer's kernel (observe.kernel.layers)", each="^kernel/.+/change$"),
    ]


def weights() -> list[Panel]:
    """How far the weights go."""
    return [
        _quantity("weights/change"),
        _over_t("Weight change of each layer", each="^weights/.+/change$"),
        _quantity("weights/norm"),
    ]


def outputs() -> list[Panel]:
    """Output norms (eq. 31) along training, and preactivations at its start (Fig. 11)."""
    return [
        *(_quantity(f"output/{name}") for name in ("df_rms", "f_rms", "alpha_df_rms", "train/df_rms")),
        _over_x("Speed of the first preactivations at t = 0", "preactivations/W0/speed"),
        _over_x("Speed of the second preactivations at t = 0", "preactivations/W1/speed"),
    ]


def fit() -> list[Panel]:
    """Losses, errors and margins along training."""
    names = ("train/loss", "test/loss", "train/unfit", "train/error", "test/error", "test/margin_median")
    return [_quantity(name) for name in names]


def speed() -> list[Panel]:
    """What training costs."""
    wall = _over_t("Training time t against wall time", "t")
    wall.x, wall.title_x, wall.log_x = WALL_TIME, "wall time in seconds", False
    return [
        wall,
        _over_x("Wall time in seconds", wr.Metric("Runtime")),
        _over_x("Steps", "steps"),
        _over_x("Rejected steps", "rejected", log_y=False),
        _over_x("Cost in gradients", "gradient_equivalents"),
        _over_x("Training time at the end", "t"),
    ]


def themes(own: Mapping[str, Quantity] | None = None) -> Themes:
    """All panels, new ones each time, with ids that are the same each time.

    Args:
        own: observables that only their runs know (``labels.others``), each shown under its theme.
    """
    found: Themes = {
        "Phase diagram": phase_diagram(),
        "Kernel": kernel(),
        "Weights": weights(),
        "Outputs": outputs(),
        "Losses and errors": fit(),
        "Speed": speed(),
    }
    for name, one in (own or {}).items():
        found.setdefault(one.theme, []).append(_quantity(name, own))
    for theme, panels in found.items():
        for panel in panels:
            # The library draws them at random, and two saves, or two dry runs, would never be the same.
            panel._id = stable_id(theme, getattr(panel, "title", ""))
    return found


def stable_id(*names: str) -> str:
    """Twelve characters that belong to these names."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
