"""Show one run: the shortest command that trains it, how it ended, and all that was measured at its end."""

import argparse
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "run", metavar="RUN", help="folder of a run, DIR/runs/ID, or DIR/ID with the beginning of its id"
    )


def call(options: argparse.Namespace) -> int:
    """Show.

    Raises:
        StoreError: no such run, or several.
    """
    from feature_lazy.measure.quantity import quantity_of
    from feature_lazy.runs.reading import load_run
    from feature_lazy.settings.shortest import command

    run = load_run(folder_of(Path(options.run)))
    say(f"{run.run_id}, {'complete' if run.done else 'not complete'}: {run.summary.get('outcome', 'no outcome yet')}")
    if "resolved" in run.manifest:
        say(command(run.manifest["resolved"]))
    columns = ", ".join(f"{name} = {_written(value)}" for name, value in run.columns.items() if value is not None)
    say(columns)
    if content := run.config.get("dataset", {}).get("content"):
        say(f"content of the data: {content}")
    if run.inputs:
        say("fingerprints, of each tensor its shape, its norm and four projections:")
    for name, text in run.inputs.items():
        say(f"  {name}: {_short(text)}")
    numbers = {name: value for name, value in run.summary.items() if isinstance(value, int | float)}
    width = max(map(len, numbers), default=0)
    for name, value in numbers.items():
        label = quantity_of(name, run.quantities).label
        say(f"{name.ljust(width)}  {value:<12.6g}{'' if label == name else label}".rstrip())
    return 0


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    """Shape, norm and projections of each tensor of a fingerprint, to six digits; another text as it is."""
    found = Fingerprint.read(text)
    if found is None:
        return text
    return "; ".join(" ".join([shape, *(f"{number:.6g}" for number in numbers)]) for shape, numbers in found.tensors)


def folder_of(path: Path) -> Path:
    """The folder of a run, also by the beginning of its id.

    Raises:
        StoreError: no run begins so, or several do.
    """
    if (path / "manifest.json").exists():
        return path
    home = path.parent if path.parent.name == "runs" else path.parent / "runs"
    found = sorted(one for one in home.glob("*") if one.name.startswith(path.name)) if path.name else []
    if len(found) == 1:
        return found[0]
    what = "no run" if not found else counted(len(found), "run")
    raise StoreError(
        f"{path}: {what} there begins so; name a folder DIR/runs/ID, of those that feature-lazy list shows."
    )
