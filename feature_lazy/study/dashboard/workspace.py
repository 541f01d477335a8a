"""The workspace: a section for each theme, and a run table that groups seeds."""

import re
import unicodedata
from collections.abc import Mapping

import wandb_workspaces.workspaces as ws

from feature_lazy.measure.quantity import Quantity
from feature_lazy.study.dashboard.panels import MAX_LINES, themes

GROUPING = ("sqrt_h_alpha", "h")
"""Runs that agree in these are seeds of one cell: panels over time show their mean. √h·α, the regime, comes first."""
ORDER = ("h", "alpha")
COLUMNS = (
    "config:h.value",
    "config:alpha.value",
    "config:sqrt_h_alpha.value",
    "config:seed.value",
    "summary:outcome",
    "summary:kernel/change",
    "summary:test/error",
    "summary:train/error",
    "summary:weights/change",
    "summary:t_half",
    "summary:t_stop",
    "summary:steps",
    "run:duration",
)
"""Columns of the run table, in W&B's notation: section:key, with .value after keys of the config."""


def workspace(project: str, sweep: str | None = None, own: Mapping[str, Quantity] | None = None) -> ws.Workspace:
    """Build the workspace; nothing is sent.

    Args:
        project: W&B project of the runs.
        sweep: group of the runs to show; all runs of the project if omitted.
        own: see ``themes``.
    """
    sections = [
        ws.Section(name=theme, panels=panels, is_open=True, panel_settings=ws.SectionPanelSettings(x_axis="t"))
        for theme, panels in themes(own).items()
    ]
    return ws.Workspace(
        entity="",  # the account's, which is known when it is saved
        project=project,
        name=title(sweep),
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis="t", smoothing_type="none", max_runs=MAX_LINES),
        runset_settings=ws.RunsetSettings(
            filters=of_sweep(sweep),
            groupby=[ws.Config(key) for key in GROUPING],
            order=[ws.Ordering(ws.Config(key), ascending=True) for key in ORDER],
            pinned_columns=list(COLUMNS),
        ),
    )


def of_sweep(sweep: str | None) -> str:
    """The filter for the runs of a group; empty for all runs.

    The library turns a filter into a line of Python and parses it, and finds operators inside of quotes, too: all but
    letters and digits is therefore written as its code.
    """
    escaped = re.sub(r"\W", lambda found: f"\\U{ord(found[0]):08x}", sweep or "")
    return f"Metric('Group') == '{escaped}'" if sweep else ""


def title(sweep: str | None) -> str:
    """Name of workspace and report; W&B takes no symbols, such as = or emojis, and at most 128 characters."""
    name = "Lazy or feature training" + (f", {sweep}" if sweep else "")
    return "".join("-" if unicodedata.category(letter).startswith("S") else letter for letter in name)[:128]
