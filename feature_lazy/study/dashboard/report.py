"""The report: how to read the sweep, the phase diagram, curves of both regimes, the runs, and how they were made."""

from collections.abc import Mapping

import wandb_workspaces.reports.v2 as wr
from wandb_workspaces.reports.v2.interface import Block

from feature_lazy.measure.quantity import Quantity
from feature_lazy.study.dashboard.panels import stable_id, themes
from feature_lazy.study.dashboard.workspace import COLUMNS, GROUPING, ORDER, of_sweep, title

CHANGE, BOUNDARY = "SummaryMetric('kernel/change')", 1.0
"""What divides the regimes (Fig. 5a): a run with a kernel change above 1 has learnt features."""
READING = r"""
Networks $F = \alpha\,(f(w) - f(w_0))$ were trained at many output scales $\alpha$, widths $h$ and seeds
(arXiv:1906.08034). At a **large** $\alpha$ the weights hardly move and the tangent kernel $\Theta$ stays what
it was: **lazy** training. At a **small** $\alpha$ the kernel becomes another one: **feature** training. The boundary
is at $\alpha^* \sim 1/\sqrt{h}$, so that widths fall on one curve against $\sqrt{h}\,\alpha$.

How to read the phase diagram: a point is a run; **red** is a kernel change above 1 (feature), **blue** below 1 (lazy),
white the boundary. Over $\alpha$ and $h$ it is a line of slope $-2$ on logarithmic axes; over $\sqrt{h}\,\alpha$ it
is vertical. Curves against $t$ are means over seeds, a line for each $\sqrt{h}\,\alpha$ and $h$.
"""
EXPECTED = r"""
| against $\sqrt{h}\,\alpha$ | where | lazy | feature |
|---|---|---|---|
| kernel change | Fig. 5a, eqs. 18, 24 | exponent −1 | exponent −2L/(L + 1) by a heuristic; −1.3 at L = 3 |
| weight change, times √h | Fig. 9, eqs. 29–30 | exponent −1 | exponent −1/(L + 1) |
| half-loss time | Fig. 5b, eq. 19 | constant | exponent 1 |
| speed of preactivations at t = 0 | Fig. 11, eq. 22 | exponent −1 | exponent −1 |
| test error | Fig. 3d | a curve of √h·α alone | a curve of √h·α alone |
"""


def report(
    project: str, sweep: str | None = None, origin: str = "", own: Mapping[str, Quantity] | None = None
) -> wr.Report:
    """Build the report; nothing is sent.

    Args:
        project: W&B project of the runs.
        sweep: group of the runs to show; all runs of the project if omitted.
        origin: how the runs were made, as Markdown, from ``provenance.describe``.
        own: see ``themes``.
    """
    panels = themes(own)
    both = [_runs(project, sweep, "feature"), _runs(project, sweep, "lazy")]
    blocks: list[Block] = [
        wr.H2(text="How to read it"),
        wr.MarkdownBlock(text=READING.strip()),
        wr.MarkdownBlock(text=EXPECTED.strip()),
        wr.H2(text="Phase diagram"),
        wr.PanelGrid(runsets=[_runs(project, sweep, grouped=False)], panels=panels.pop("Phase diagram")),
    ]
    for theme, those in panels.items():
        blocks += [wr.H2(text=theme), wr.PanelGrid(runsets=both, panels=those)]
    comparison = wr.RunComparer(diff_only="split", layout=wr.Layout(w=24, h=12))
    comparison._id = stable_id("Runs", "comparison")
    blocks += [
        wr.H2(text="Runs"),
        wr.PanelGrid(runsets=[_runs(project, sweep, grouped=False)], panels=[comparison]),
        wr.H2(text="Where they come from"),
        wr.MarkdownBlock(text=_origin(project, sweep, origin)),
    ]
    return wr.Report(
        project=project,
        entity="",  # the account's, which is known when it is saved
        title=title(sweep),
        description="When does a network learn features, and when does it train lazily?",
        blocks=blocks,
        width="fluid",
    )


def _runs(project: str, sweep: str | None, regime: str | None = None, grouped: bool = True) -> wr.Runset:
    """A set of runs: of one regime, or all; seeds of a cell as one line, or each run a point.

    ``entity`` is left out: with it, the library asks the server for the project as soon as the set is written down.
    """
    side = {None: "", "feature": f"{CHANGE} >= {BOUNDARY}", "lazy": f"{CHANGE} <= {BOUNDARY}"}[regime]
    runs = wr.Runset(
        project=project,
        name=f"{regime} training" if regime else "all runs",
        filters=" and ".join(filter(None, [of_sweep(sweep), side])),
        groupby=[f"config.{key}" for key in GROUPING] if grouped else [],
        order=[wr.OrderBy(wr.Config(key), ascending=True) for key in ORDER],
        pinned_columns=["run:displayName"],
        visible_columns=list(COLUMNS),
        lock_columns=True,
    )
    runs._id = stable_id("runs", runs.name, str(grouped))
    return runs


def _origin(project: str, sweep: str | None, origin: str) -> str:
    which = f"the runs of group `{sweep}`" if sweep else "all runs"
    text = f"This report shows {which} of the project `{project}`. Each run has in its configuration, under `science`, "
    text += "all that decides its result, and its id is the hash of that: the run of the same id in a results folder "
    text += "is this run."
    return f"{text}\n\n{origin}".strip()
