"""Put complete runs into one file that somebody else can repeat: results, own sources, data, versions, commands.

Of data that are larger than --data MiB only the SHA-256 is in it. Sources are those that the runs' configurations name
by import path; look at the list before you send the file. The status is 1 where the sources of now would not make the
runs again, as after a change of them: the bundle has the results then, and cannot repeat them.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument, where_argument

if TYPE_CHECKING:
    from feature_lazy.runs.survey import Entry

MIB = 2**20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    where_argument(parser)
    parser.add_argument("--out", metavar="FILE", type=Path, help="the bundle (default: DIR.bundle.zip)")
    parser.add_argument(
        "--data", type=float, default=100, metavar="MIB", help="data files up to this size (default: 100)"
    )


def call(options: argparse.Namespace) -> int:
    """Write the bundle, and say what is in it.

    Raises:
        StoreError: no complete run, or a file that cannot be read or written.
    """
    from feature_lazy.launch.archive import pack
    from feature_lazy.launch.commands.selection import select
    from feature_lazy.runs.survey import RunState, survey
    from feature_lazy.settings.plugins import packages
    from feature_lazy.settings.shortest import commands

    root = Path(options.folder)
    entries = select(survey(root), RunState.DONE, options.where)
    if not entries:
        raise StoreError(f"There is no complete run in {root} that could be bundled.")
    jobs = list(_jobs(entries))
    targets = sorted({target for job in jobs for target in _targets(job["config"])})
    sources = _sources(targets)
    data, data_files = _data(jobs, options.data * MIB)
    contents = {f"results/runs/{name}": text for entry in entries for name, text in _files(entry)}
    said = {
        "versions": {str(k): str(v) for e in entries if e.run for k, v in e.run.provenance.get("versions", {}).items()},
        "packages": packages(targets),
        "commands": commands([job["config"] for job in jobs]),
        "modules": targets,
        "jobs": jobs,
        "data": data,
    }
    path = options.out or Path(f"{str(root).rstrip('/')}.bundle.zip")
    pack(path, {**contents, **sources, **data_files}, said)
    say(f"{counted(len(entries), 'run')} in {path}, {path.stat().st_size / MIB:.2g} MiB")
    for name in sources:
        say(f"  {name}")
    for one in data:
        say(f"  {one['path']}: " + (f"in it, {one['name']}" if one["name"] else f"its SHA-256 alone, {one['sha256']}"))
    for line in said["commands"]:
        say(line)
    problems = list(_changed(jobs))
    for problem in problems:
        say(problem, error=True)
    if problems:
        return 1
    say(f"Whoever has it: feature-lazy repeat {path.name}")
    return 0


def _jobs(entries: "Sequence[Entry]") -> "Iterator[dict[str, Any]]":
    """Configurations with the runs that were trained together.

    Raises:
        StoreError: a run that does not say how it was trained.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        assert entry.run is not None  # it is complete
        config = entry.job.config if entry.job else entry.run.manifest.get("resolved")
        if not config:
            raise StoreError(f"The run {entry.run_id} does not say how it was trained; leave it out by --where.")
        key = json.dumps(config, sort_keys=True)
        found.setdefault(key, {"config": config, "runs": []})["runs"].append(entry.run_id)
    return iter(found.values())


def _targets(plain: Any) -> Iterator[str]:
    """Import paths that a configuration names, as plain values; nothing is imported."""
    if isinstance(plain, Mapping):
        for name, value in plain.items():
            if name in ("target", "options") or name == "targets":
                values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
                yield from (one for one in values if isinstance(one, str) and one)
            else:
                yield from _targets(value)


def _sources(targets: Sequence[str]) -> dict[str, bytes]:
    """Sources of a user's own code, by name in the bundle.

    Raises:
        ConfigError: one that is not found, or was handed over by Python.
    """
    from feature_lazy.core.files import read_regular
    from feature_lazy.settings.sources import NOT_THEIRS, source_files

    found: dict[str, Path] = {}
    for target in targets:
        if target.split(".")[0] not in NOT_THEIRS:
            try:
                found |= source_files(target)
            except ConfigError as error:
                raise ConfigError(f"{target}: its source cannot be bundled: {error}") from error
    return {f"sources/{name}": read_regular(path) for name, path in sorted(found.items())}


def _data(jobs: Sequence[Mapping[str, Any]], limit: float) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """A user's own data: of each path its name in the bundle, empty if it is too large, and SHA-256; and the files.

    Raises:
        StoreError: data that have changed since, or are not there any more.
    """
    from feature_lazy.core.files import read_regular
    from feature_lazy.settings.registry import options

    said: dict[str, dict[str, str]] = {}
    contents: dict[str, bytes] = {}
    for job in jobs:
        keys = job["config"].get("dataset", {})
        made = options("dataset").get(str(keys.get("kind")))
        if not getattr(made, "of_files", False) or not keys.get("path") or keys["path"] in said:
            continue
        path, files = Path(keys["path"]), _data_files(keys)
        sha = made(**{k: v for k, v in keys.items() if k in ("path", "y")}).sha256()  # type: ignore[misc]
        if keys.get("content") not in ("", None, sha):
            raise StoreError(f"{path} has changed since the runs were trained, and would not repeat them.")
        name = ""
        if sum(file.stat().st_size for file in files) <= limit:
            name = f"data/{len(said)}/{path.name}"
            home = path if path.is_dir() else path.parent
            top = name if path.is_dir() else f"data/{len(said)}"
            contents |= {f"{top}/{file.relative_to(home).as_posix()}": read_regular(file) for file in files}
        said[keys["path"]] = {"path": keys["path"], "name": name, "sha256": sha}
    return list(said.values()), contents


def _data_files(keys: Mapping[str, Any]) -> list[Path]:
    from feature_lazy.data.readers import files, image_files

    path = Path(keys["path"])
    if path.is_dir():
        return [one for inside in image_files(path).values() for one in inside]
    return list(files(path, keys["y"])) if "y" in keys else [path]


def _files(entry: "Entry") -> Iterator[tuple[str, bytes]]:
    """The files of a complete run, each held against its checksum."""
    from feature_lazy.core.files import listed, read_stored
    from feature_lazy.runs.measured import FOLDER
    from feature_lazy.runs.reading import DONE, HISTORY, MANIFEST, OUTPUTS
    from feature_lazy.runs.series import stored_name

    assert entry.run is not None  # it is complete
    entry.run.verify()
    path = entry.run.path
    for file in [
        *(path / name for name in (MANIFEST, DONE, HISTORY, OUTPUTS, *map(stored_name, entry.run.kinds))),
        *listed(path / FOLDER, "*.*"),
    ]:
        yield f"{entry.run_id}/{file.relative_to(path).as_posix()}", read_stored(file)


def _changed(jobs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Sentences for runs that this source, or the user's own of now, would not make again."""
    from feature_lazy.settings.cells import cells
    from feature_lazy.settings.schema import from_plain

    for job in jobs:
        if job["config"].get("options"):
            continue  # to know, they would have to be imported
        try:
            made = {cell.run_id for cell in cells(from_plain(job["config"]))}
        except ConfigError as error:
            yield f"{', '.join(job['runs'])}: cannot be trained by this version: {error}"
            continue
        if gone := sorted({*job["runs"]} - made):
            yield f"{', '.join(gone)}: trained with another source than that of now, which would not find them again."
