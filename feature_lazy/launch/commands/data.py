"""List the data sets, bring their files here, and check those that are here.

A run never downloads. Where compute nodes have no network, fetch once on a machine that has one and shares the folder,
or copy the folder. It is --root, else $FEATURE_LAZY_DATA, else the user's cache folder; runs look in dataset.root, else
in the same places.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from feature_lazy.core.errors import DataError
from feature_lazy.core.terminal import console, say
from feature_lazy.data.cache import CachedFile, ProgressBar, cached_files, data_root
from feature_lazy.data.sources import Source, sources

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DOWNLOADED = tuple(name for name, source in sources().items() if source.folder)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions list, fetch and verify."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all sets: size, classes, d, and whether they are here")
    listing.set_defaults(action=show)
    fetch = actions.add_parser("fetch", help="download the files of some sets, unless they are here and whole")
    fetch.add_argument("names", nargs="+", metavar="NAME", type=_name, help=", ".join(DOWNLOADED))
    fetch.set_defaults(action=bring)
    verify = actions.add_parser("verify", help="compare checksums; files that are not right are moved aside")
    what = "sets whose files must be here; without a name, whatever is here"
    verify.add_argument("names", nargs="*", metavar="NAME", type=_name, help=what)
    verify.set_defaults(action=check)
    for action in (listing, fetch, verify):
        action.add_argument("--root", metavar="FOLDER", help="folder of the files")


def _name(text: str) -> str:
    if text not in DOWNLOADED:
        raise argparse.ArgumentTypeError(f"{text!r} is no set with files of its own: {', '.join(DOWNLOADED)}")
    return text


def call(options: argparse.Namespace) -> int:
    """Do one of the actions."""
    return options.action(options)


def show(options: argparse.Namespace) -> int:
    """Print a table of all sets."""
    from rich.table import Table

    table = Table(title=f"Images; files are looked for in {data_root(options.root)}")
    for column in ("dataset", "patterns", "classes", "d", "here"):
        table.add_column(column, justify="right" if column in ("patterns", "classes", "d") else "left", no_wrap=True)
    table.add_column("origin")
    for name, source in sources().items():
        numbers = (sum(source.counts), len(source.counts), source.input_dim)
        table.add_row(name, *map(str, numbers), _whereabouts(name, source, options.root), source.origin)
    out = console()
    out.print(table)
    out.print("Drawn from a law, in any number and dimension: teacher_student, stripe, sparse_parity, spheres")
    return 0


def _whereabouts(name: str, source: Source, root: str | None) -> str:
    files = cached_files(name, source.folder, root) if source.folder else []
    return "yes" if all(file.here for file in files) else "no"


def bring(options: argparse.Namespace) -> int:
    """Download what is missing."""

    def fetch(file: CachedFile) -> str:
        with _bar(file.path.name) as bar:
            return "downloaded" if file.fetch(bar) else "was here"

    return _each(_files(options.names, options.root), fetch)


def check(options: argparse.Namespace) -> int:
    """Compare the checksums of the files that are here, or of all files of the named sets."""

    def verify(file: CachedFile) -> str:
        file.read()
        return "whole"

    files = _files(options.names or DOWNLOADED, options.root)
    if not options.names:
        files = [file for file in files if file.path.exists()]
        if not files:
            say(f"No files in {data_root(options.root)}.")
    return _each(files, verify)


def _files(names: Sequence[str], root: str | None) -> list[CachedFile]:
    """The files of some sets; one that several of them share, once."""
    files = {}
    for name in names:
        folder = sources()[name].folder
        assert folder is not None
        for file in cached_files(name, folder, root):
            files.setdefault(file.path, file)
    return list(files.values())


def _each(files: Sequence[CachedFile], act: Callable[[CachedFile], str]) -> int:
    """Do something with every file, whatever happened to the others; 1 if one went wrong."""
    failed = 0
    for file in files:
        try:
            say(f"{file.path}: {act(file)}")
        except DataError as error:
            say(error, error=True)
            failed = 1
    return failed


@contextmanager
def _bar(name: str) -> Iterator[ProgressBar]:
    """A bar with bytes, speed and time to go on standard error, as pooch wants to be given one."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console(stderr=True), transient=True) as progress:
        yield _RichBar(progress, progress.add_task(name, total=None))


class _RichBar:
    """``cache.ProgressBar`` on a task of rich."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self.progress, self.task = progress, task
        self.total = 0

    def update(self, n: int) -> None:
        self.progress.update(self.task, advance=n, total=self.total or None)

    def reset(self) -> None:
        self.progress.reset(self.task)

    def close(self) -> None:
        """See ``cache.ProgressBar.close``."""
