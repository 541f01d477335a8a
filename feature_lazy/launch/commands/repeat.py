"""Train the runs of a bundle again, and say of each: equal bit for bit, to rounding, or different.

A bundle is looked at without running anything of it. What it would run is said first, its own modules by name, and
asked about; --yes answers. Use it on bundles of people whom you trust as you trust their code.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted

if TYPE_CHECKING:
    from feature_lazy.runs.job import Job


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="file that feature-lazy bundle has written")
    parser.add_argument("--into", metavar="DIR", type=Path, help="where to train (default: BUNDLE without .zip)")
    parser.add_argument("--yes", action="store_true", help="run it without asking")
    parser.add_argument("--n-jobs", type=int, default=0, help="processes (default: one for each core)")


def call(options: argparse.Namespace) -> int:
    """Train, and compare; 1 if a run is different, could not be trained, or nothing was run.

    Raises:
        StoreError: no bundle, or a folder in which something else lies.
    """
    from feature_lazy.launch.archive import unpack

    said, contents = unpack(options.bundle)
    _tell(said, contents)
    if not _agreed(yes=options.yes):
        return 1
    into = (options.into or options.bundle.with_suffix("")).absolute()
    _lay_out(into, contents)
    if any(name.startswith("sources/") for name in contents):
        sys.path.insert(0, str(into / "bundle" / "sources"))
    failed = _train(list(_jobs(said, into)), options.n_jobs)
    verdicts = list(_compared(into, [run_id for job in said["jobs"] for run_id in job["runs"]]))
    for run_id, verdict, sentence in verdicts:
        say(f"{run_id}  {sentence}" if verdict else f"{run_id}  not trained again")
    for reason in failed:
        say(reason, error=True)
    counts = Counter(verdict or "not trained again" for _, verdict, _ in verdicts)
    say(
        ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) + f"; the runs are in {into / 'results'}"
    )
    return 0 if set(counts) <= {"equal bit for bit", "equal to rounding"} else 1


def _tell(said: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    """What the bundle holds, and what repeating it would run."""
    from feature_lazy.runs.provenance import versions
    from feature_lazy.settings.plugins import lacking

    runs = sum(len(job["runs"]) for job in said["jobs"])
    say(f"{counted(runs, 'run')} in {counted(len(said['jobs']), 'job')}, trained by:")
    for line in said["commands"]:
        say(f"  {line}")
    here = versions()
    for name, version in said["versions"].items():
        if here.get(name) != version:
            say(f"  {name} was {version}, and is {here.get(name, 'not installed')} here")
    for phrase in lacking(said["packages"]):
        say(f"  {phrase}")
    for one in said["data"]:
        say(f"  data: {one['name'] or one['path'] + ', which must lie there: SHA-256 ' + one['sha256']}")
    for name in said["modules"]:
        say(f"  code that is not of this package: {name}")
    for name in contents:
        if name.startswith("sources/"):
            say(f"    {name}, {len(contents[name])} bytes")


def _agreed(*, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        say("Nothing was run: repeat the command with --yes to train these runs with that code.", error=True)
        return False
    say("Run it? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _lay_out(into: Path, contents: Mapping[str, bytes]) -> None:
    """Put the files of a bundle into ``into/bundle``; the same may lie there from before.

    Raises:
        StoreError: something else lies there, or it cannot be written.
    """
    from feature_lazy.core.files import read_regular, write_folder

    home = into / "bundle"
    try:
        write_folder(home, contents, below=into)
        # All of it, and nothing else: modules that lie beside the sources would be imported.
        there = {
            path.relative_to(home).as_posix() for path in home.rglob("*") if not path.is_dir() or path.is_symlink()
        }
        there = {name for name in there if "__pycache__" not in name.split("/")}
        same = there == {*contents} and all(read_regular(home / name) == data for name, data in contents.items())
    except OSError as error:
        raise StoreError(f"The bundle cannot be laid out in {home} ({error.strerror}).") from error
    if not same:
        raise StoreError(f"{home} holds something else than this bundle: name another folder, --into DIR.")


def _jobs(said: Mapping[str, Any], into: Path) -> "Iterator[Job]":
    """The jobs, with results and data where they are now.

    Raises:
        ConfigError: a configuration that this version does not know, or makes other runs of.
    """
    from feature_lazy.launch.commands.retry import group
    from feature_lazy.runs.plan import PlannedJob, PlannedRun
    from feature_lazy.runs.survey import Entry, RunState
    from feature_lazy.settings.registry import find

    lies = {one["path"]: str(into / "bundle" / one["name"]) for one in said["data"] if one["name"]}
    entries = []
    for job in said["jobs"]:
        config = {**job["config"], "tracking": {"kind": "none"}, "device": job["config"].get("device", "cpu")}
        keys = config.get("dataset", {})
        if keys.get("path") in lies:
            config["dataset"] = {**keys, "path": lies[keys["path"]]}
        planned = PlannedJob(config, tuple(PlannedRun(run_id, {}, {}) for run_id in job["runs"]))
        entries += [Entry(run_id, RunState.QUEUED, {}, job=planned) for run_id in job["runs"]]
    for job in group(entries, into / "results"):
        yield replace(job, config=replace(job.config, tracking=find("tracking", "none")()))


def _train(jobs: "Sequence[Job]", n_jobs: int) -> list[str]:
    """Train what is not done; why jobs failed."""
    from feature_lazy.launch.parallel import train_all

    return train_all(jobs, n_jobs or os.cpu_count() or 1)


def _compared(into: Path, run_ids: Sequence[str]) -> "Iterator[tuple[str, str, str]]":
    """Of each run its id, the verdict, and the sentence; the verdict is empty if it was not trained again."""
    from feature_lazy.runs.alike import alike
    from feature_lazy.runs.reading import is_done, load_run

    for run_id in run_ids:
        again = into / "results" / "runs" / run_id
        if not is_done(again):
            yield run_id, "", ""
            continue
        found = alike(load_run(into / "bundle" / "results" / "runs" / run_id), load_run(again))
        yield run_id, found.verdict, str(found)
