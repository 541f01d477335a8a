"""What W&B has written offline, read by W&B's own reader, and a place without an account or settings of the machine."""

import json
import os
import subprocess
from dataclasses import dataclass, field

import pytest


@dataclass
class Written:
    """One run's file: the record of the run, configuration, history, summary, metrics and artifacts."""

    about: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    metrics: list = field(default_factory=list)
    artifacts: list = field(default_factory=list)
    closed: bool = False


def inspect(path):
    """One file, as ``wandb leet inspect --json`` prints it (the command starts this program, after a second)."""
    from wandb.util import get_core_path

    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", str(path)]
    written = Written()
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        record = json.loads(line)
        match record["type"]:
            case "run":
                written.about = record["run"]
                written.config |= record["run"].get("config", {}).get("update", {})
            case "config":
                written.config |= record["config"]["update"]
            case "history":
                written.rows.append(record["history"]["item"])
            case "summary":
                written.summary |= record["summary"]["update"]
            case "metric":
                written.metrics.append(record["metric"])
            case "artifact":
                written.artifacts.append(record["artifact"] | {"metadata": json.loads(record["artifact"]["metadata"])})
            case "exit":
                written.closed = True
    return written


def offline_runs(root):
    """All offline runs under a results folder, by run id: a list for each."""
    found = {}
    for path in sorted((root / "wandb").glob("offline-run-*/run-*.wandb")):
        found.setdefault(path.stem.removeprefix("run-"), []).append(inspect(path))
    return found


def agree(rows, stored):
    """Compare rows of W&B with the history of a stored run, value by value; NaN is a word in W&B."""
    assert [row["_step"] for row in rows] == list(range(len(stored.rows)))
    for row, known in zip(rows, stored.rows, strict=True):
        for name, value in known.items():
            assert row[name] == (value if value == value else "NaN"), name


def settle(home, environment=()):
    """The same for a process of its own, which may have inherited the way to another one's W&B; and an environment."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    os.environ.update(HOME=str(home), WANDB_ERROR_REPORTING="false", **dict(environment))


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No account and no settings of the machine; call it to end W&B's own process, which writes the files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in [name for name in os.environ if name.startswith("WANDB_") and name != "WANDB_ERROR_REPORTING"]:
        monkeypatch.delenv(name)
    import wandb

    wandb.teardown()
    yield wandb.teardown
    wandb.teardown()
