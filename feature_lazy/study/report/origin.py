"""Where the runs of a folder come from: versions, machines, cost, and the commands that would make them again."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from feature_lazy.runs.reading import Run
from feature_lazy.runs.survey import Entry
from feature_lazy.study.following import SWEPT, followed


def provenance(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Names and values of what is known of how the stored runs were made."""
    runs = [entry.run for entry in entries if entry.run is not None]
    records = [run.provenance for run in runs]
    segments = [segment for record in records for segment in record.get("segments", [])]
    versions: dict[str, Counter[str]] = {}
    for record in records:
        for name, version in record.get("versions", {}).items():
            versions.setdefault(name, Counter())[str(version)] += 1
    started = sorted(str(s["started"]) for s in segments if s.get("started"))
    ended = sorted(str(s["ended"]) for s in segments if s.get("ended"))
    memory = max((s.get("peak_memory") or 0 for s in segments), default=0)
    rows = [
        ("Git revision", _counted(_revision(record.get("git", {})) for record in records)),
        ("Science version", _counted(str(run.manifest.get("identity", {}).get("version", "")) for run in runs)),
        ("Versions", ", ".join(f"{name} {' / '.join(found)}" for name, found in versions.items())),
        ("Hosts", _counted(str(segment.get("host", "")) for segment in segments)),
        ("Devices", _counted(_device(record.get("device", {})) for record in records)),
        ("Trained", f"{started[0]} to {ended[-1]} (UTC)" if started and ended else ""),
        ("Wall time", _cost(runs)),
        ("Largest process", f"{memory / 2**20:,.0f} MiB" if memory else ""),
    ]
    return [(name, value) for name, value in rows if value]


def _cost(runs: Sequence[Run]) -> str:
    """Seconds of all runs, those that were trained together counted once, and the work that was done in them."""
    shares = [
        float(run.provenance.get("wall_seconds") or 0.0) / max(1, int(run.provenance.get("trained_together") or 1))
        for run in runs
    ]
    total = sum(shares)
    if not total:
        return ""
    work = sum(float(run.summary.get("gradient_equivalents") or 0.0) for run in runs)
    gradients = f"; as much work as {work:,.0f} gradients of one network" if work else ""
    return f"{duration(total)} in all, {total / len(runs):.2g} s a run{gradients}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _counted(values: Iterable[str]) -> str:
    found = Counter(value for value in values if value)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{value} ({n})" for value, n in found.most_common())


def _revision(git: dict[str, Any]) -> str:
    if not git.get("revision"):
        return ""
    changes = f", with uncommitted changes {str(git.get('diff', ''))[:12]}" if git.get("modified") else ""
    return f"{str(git['revision'])[:12]}{changes}"


def _device(device: dict[str, Any]) -> str:
    return f"{device.get('type')} {device.get('name')}, {device.get('threads')} threads" if device else ""


def commands(folder: Path, entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Commands with what each does: how the runs stand, what is missing, all anew, this page."""
    name = shlex.quote(str(folder))
    again = [("train the same runs anew", command) for command in repeat(entries, "DIR")]
    return [
        ("see how the runs stand", f"feature-lazy status {name}"),
        ("train what is missing", f"feature-lazy retry {name} --state queued,failed,interrupted,stopped"),
        ("write this page again", f"feature-lazy report {name}"),
        *again,
    ]


def repeat(entries: Sequence[Entry], output: str) -> list[str]:
    """Commands that train the stored runs: one for each configuration that differs in more than α, width and seed.

    Every scientific key is written out, so that later defaults do not matter.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for config in followed([entry.run.config for entry in entries if entry.run is not None and entry.run.config]):
        rest = {group: {**config[group], key: None} for group, key in SWEPT if group in config}
        found.setdefault(json.dumps({**config, **rest}, sort_keys=True), []).append(config)
    return [_command(configs, output) for configs in found.values()]


def _command(configs: Sequence[dict[str, Any]], output: str) -> str:
    return shlex.join(["python", "train.py", "-m", *_overrides(configs), f"output_dir={output}"])


def _overrides(configs: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Every key of some configurations that differ in the swept ones alone, as words for Hydra and not for a shell."""
    for group, content in configs[0].items():
        if not isinstance(content, dict):
            yield f"{group}={_hydra(content)}"
            continue
        if "kind" in content:
            yield f"{group}={_hydra(content['kind'])}"
        for key, value in _flat(content):
            if key != "kind":
                swept = _distinct(config[group].get(key) for config in configs)
                yield f"{group}.{key}={','.join(map(_hydra, swept if (group, key) in SWEPT else [value]))}"


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, numbers by size; a stranger's configuration may have something else."""
    each = {json.dumps(value): value for value in values}
    numbers = all(isinstance(value, int | float) for value in each.values())
    return sorted(each.values()) if numbers else [each[text] for text in sorted(each)]


def _flat(content: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _hydra(value: Any) -> str:
    """A value as Hydra's command line reads it."""
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
