"""Make a Weights & Biases workspace and report of a project's runs."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.files import write_atomically
from feature_lazy.core.terminal import say


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("project", metavar="PROJECT", help="W&B project, such as feature_lazy")
    parser.add_argument("--entity", help="team or user that has the project; default: the account's own")
    parser.add_argument("--sweep", metavar="GROUP", help="show the runs of this group only; default: all")
    parser.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        help="results folder: its own observables, and how it was made",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--workspace", dest="which", action="store_const", const="workspace", help="the workspace only")
    which.add_argument("--report", dest="which", action="store_const", const="report", help="the report only")
    parser.add_argument(
        "--dry-run",
        metavar="FILE",
        nargs="?",
        const="-",
        help="save nothing, but write what would be saved as JSON; default: to the terminal",
    )


def dashboard(options: argparse.Namespace) -> dict[str, Any]:
    """The workspace and the report that were asked for, by their kind.

    Raises:
        FeatureLazyError: a project's name that is none, or a results folder that cannot be read.
    """
    from feature_lazy.study.dashboard.provenance import describe
    from feature_lazy.study.dashboard.report import report
    from feature_lazy.study.dashboard.workspace import workspace

    if not options.project or "/" in options.project:
        message = f"PROJECT={options.project}: a project's name has no /; name the team or user with --entity."
        raise FeatureLazyError(message)
    built: dict[str, Any] = {}
    origin, own = describe(options.results) if options.results else ("", {})
    if options.which != "report":
        built["workspace"] = workspace(options.project, options.sweep, own)
    if options.which != "workspace":
        built["report"] = report(options.project, options.sweep, origin, own)
    return built


def write(built: dict[str, Any], path: str) -> None:
    """Write what would be saved, as JSON that is the same each time; ``-`` is the terminal.

    Raises:
        FeatureLazyError: a file that cannot be written.
    """
    plain = {
        kind: one._to_model().model_dump(mode="json", by_alias=True, exclude_none=True) for kind, one in built.items()
    }
    if path == "-":
        return say(json.dumps(plain, indent=2, allow_nan=False))
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_atomically(Path(path), text.encode(), below=None)
    except OSError as error:
        raise FeatureLazyError(f"--dry-run {path}: it cannot be written: {error.strerror}.") from error


def call(options: argparse.Namespace) -> int:
    """Build, and write or save; an error that the user can mend is one sentence.

    What is saved ends the process at once: W&B's farewell may wait for minutes where a server does not answer.
    """
    try:
        _call(options)
        status = 0
    except FeatureLazyError as error:
        say(error, error=True)
        status = 1
    if not options.dry_run:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _call(options: argparse.Namespace) -> None:
    """Build, and write or save.

    Raises:
        FeatureLazyError: whatever the user can mend.
    """
    try:
        import wandb_workspaces  # noqa: F401  an optional package; the dashboard's modules import it at their top
    except ModuleNotFoundError as error:
        message = "The dashboard needs the package wandb-workspaces: pip install 'feature_lazy[dashboard]'."
        raise FeatureLazyError(message) from error
    built = dashboard(options)
    if options.dry_run:
        return write(built, options.dry_run)
    from feature_lazy.study.dashboard.account import check, save

    entity = check(options.project, options.entity, options.sweep)
    for kind, one in built.items():
        say(f"{kind}: {save(one, entity)}")
    return None
