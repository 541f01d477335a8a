"""Weights & Biases' server: who is logged in, whether the project is there, and saving. Failures are one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import wandb
from wandb_workspaces.reports.v2 import PanelGrid, Report
from wandb_workspaces.workspaces import Workspace

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.runs.tracking.wandb import place_for_logs, refuse_settings_here

TIMEOUT = 20
"""Seconds to wait for an answer; the library's own calls wait for 19 each."""


class DashboardError(FeatureLazyError):
    """A dashboard that cannot be saved."""


def check(project: str, entity: str | None, sweep: str | None) -> str:
    """Find the project, and its runs, before anything is written.

    Args:
        project: W&B project.
        entity: team or user; the account's default if omitted.
        sweep: group of runs that must exist; any run will do if omitted.

    Returns:
        The entity that has the project.

    Raises:
        ConfigError: settings in the current folder.
        DashboardError: not logged in, no answer, or no such project or runs for this account.
    """
    refuse_settings_here()
    place_for_logs()
    with _explained("the login"):
        wandb.setup(wandb.Settings(silent=True))
        # Else Api would ask for a key, and wait.
        if not wandb.login(prompt=False, verify=False):
            raise DashboardError(
                "Not logged in to Weights & Biases: call `wandb login`, or set WANDB_API_KEY and no WANDB_MODE; "
                "--dry-run needs neither account nor network."
            )
        api = wandb.Api(timeout=TIMEOUT)
        entity = entity or api.default_entity
    if not entity:
        raise DashboardError("The account has no default entity: name the team or user that has the project, --entity.")
    place, group = f"{entity}/{project}", f" in group {sweep}" if sweep else ""
    with _explained(f"looking for {place}"):
        count = len(api.runs(place, filters={"group": sweep} if sweep else None, per_page=1))
    if not count:
        raise DashboardError(f"{place} has no runs{group}: upload them with `wandb sync`, or check --sweep.")
    return entity


def save(built: Workspace | Report, entity: str) -> str:
    """Save to the project, as a new view or a new report, and return its address.

    Raises:
        DashboardError: no answer, or no permission to write.
    """
    built.entity = entity
    for block in built.blocks if isinstance(built, Report) else []:
        for runs in block.runsets if isinstance(block, PanelGrid) else []:
            runs.entity = entity
    with _explained(f"saving the {type(built).__name__.lower()} to {entity}/{built.project}"):
        built.save()
        return built.url


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what the library raises (errors of its own, of its client, and plain ones) into one sentence.

    Raises:
        DashboardError: in place of any other error.
    """
    try:
        yield
    except DashboardError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DashboardError(
            f"Weights & Biases: {what} failed: {reason}. Check --entity, the project's name and the login "
            "(`wandb login --relogin`); --dry-run needs neither account nor network."
        ) from error
