"""``python -m analysis.dashboard PROJECT``: a W&B workspace and a report of a project's runs."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from feature_lazy.core.errors import FeatureLazyError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m analysis.dashboard", description="Make a Weights & Biases workspace and report of a sweep."
    )
    result.add_argument("project", metavar="PROJECT", help="W&B project, such as feature_lazy")
    result.add_argument("--entity", help="team or user that has the project; default: the account's own")
    result.add_argument("--sweep", metavar="GROUP", help="show the runs of this group only; default: all")
    result.add_argument("--results", metavar="DIR", type=Path, help="results folder: the report tells how it was made")
    which = result.add_mutually_exclusive_group()
    which.add_argument("--workspace", dest="which", action="store_const", const="workspace", help="the workspace only")
    which.add_argument("--report", dest="which", action="store_const", const="report", help="the report only")
    result.add_argument(
        "--dry-run",
        metavar="FILE",
        nargs="?",
        const="-",
        help="save nothing, but write what would be saved as JSON; default: to the terminal",
    )
    return result


def dashboard(options: argparse.Namespace) -> dict[str, Any]:
    """The workspace and the report that were asked for, by their kind.

    Raises:
        FeatureLazyError: a project's name that is none, or a results folder that cannot be read.
    """
    from analysis.dashboard.report import report
    from analysis.dashboard.workspace import workspace

    if not options.project or "/" in options.project:
        message = f"PROJECT={options.project}: a project's name has no /; name the team or user with --entity."
        raise FeatureLazyError(message)
    built: dict[str, Any] = {}
    if options.which != "report":
        built["workspace"] = workspace(options.project, options.sweep)
    if options.which != "workspace":
        from analysis.dashboard.provenance import describe

        origin = describe(options.results) if options.results else ""
        built["report"] = report(options.project, options.sweep, origin)
    return built


def write(built: dict[str, Any], path: str) -> None:
    """Write what would be saved, as JSON that is the same each time; ``-`` is the terminal.

    Raises:
        FeatureLazyError: a file that cannot be written.
    """
    plain = {
        kind: one._to_model().model_dump(mode="json", by_alias=True, exclude_none=True) for kind, one in built.items()
    }
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        sys.stdout.write(text) if path == "-" else Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FeatureLazyError(f"--dry-run {path}: it cannot be written: {error.strerror}.") from error


def run(options: argparse.Namespace) -> None:
    """Build, and write or save.

    Raises:
        FeatureLazyError: whatever the user can mend.
    """
    try:
        import wandb_workspaces  # noqa: F401  an optional package; the modules of this one import it at their top
    except ModuleNotFoundError as error:
        message = "The dashboard needs the package wandb-workspaces: pip install 'feature_lazy[dashboard]'."
        raise FeatureLazyError(message) from error
    built = dashboard(options)
    if options.dry_run:
        return write(built, options.dry_run)
    from analysis.dashboard.account import check, save

    entity = check(options.project, options.entity, options.sweep)
    for kind, one in built.items():
        print(f"{kind}: {save(one, entity)}")
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the dashboard, and return the exit status; an error that the user can mend is one sentence."""
    options = parser().parse_args(arguments)
    try:
        run(options)
    except FeatureLazyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def leave(status: int) -> NoReturn:
    """End the process at once: all is saved, and W&B's farewell may wait for minutes where a server does not answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
