"""Artifacts in W&B: files and folders of a run, byte for byte, at once or by ``sync``; and what a refusal does."""

import base64
import hashlib
import io
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from feature_lazy.launch.commands import main, parser
from feature_lazy.launch.commands.sync import _agreed
from feature_lazy.runs.batch import build
from feature_lazy.runs.tracking import artifacts
from feature_lazy.runs.tracking.wandb import Place
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK
from tests.runs.test_tracking import said
from tests.runs.test_wandb_online import ONLINE, arrived, impatient, server  # noqa: F401 - fixtures
from tests.runs.wandb_files import nobody, offline_runs  # noqa: F401 - a fixture
from tests.runs.wandb_server import Failure

UPLOADED = ("tracking.artifacts=[outputs.safetensors,kernels,missing]",)
KERNELS = {"t=0.bin": bytes(range(256)), "deep/er/ü 1.bin": b"\0" * 70000}


@pytest.fixture
def planted(tiny, tmp_path):
    """Compose a job, and put a folder into the directory of each of its runs, as one does who keeps kernels there."""

    def job(*overrides):
        config = tiny(*QUICK, *UPLOADED, *overrides)
        for cell in cells(config):
            for name, data in KERNELS.items():
                path = tmp_path / "results" / "runs" / cell.run_id / "kernels" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        return config

    return job


def wanted(stored):
    files = {"outputs.safetensors": (stored.path / "outputs.safetensors").read_bytes()}
    return files | {f"kernels/{name}": data for name, data in KERNELS.items()}


def uploaded(server, stored):  # noqa: F811
    """The run has one artifact, with its files byte for byte and its columns."""
    [artifact] = server.artifacts.committed(f"run-{stored.run_id}")
    assert artifact.files == wanted(stored)
    assert artifact.metadata == stored.columns
    assert artifact.about["runName"] == stored.run_id
    assert artifact.about["artifactTypeName"] == "run"


def unexpected(home):
    """What W&B has left in the user's home, but for its logs."""
    return [str(path) for path in home.rglob("*") if path.is_file() and "logs" not in path.parts]


def test_files_and_folders_are_uploaded_with_the_run(planted, tmp_path, server, caplog):  # noqa: F811
    [stored] = run(build(planted(*ONLINE)))
    assert said(caplog) == []
    uploaded(server, stored)
    arrived(server, stored)
    assert unexpected(tmp_path / "home") == []


def test_run_that_has_none_of_them_has_no_artifact(tiny, server, caplog):  # noqa: F811
    [stored] = run(build(tiny(*QUICK, *ONLINE, "tracking.artifacts=[missing]")))
    assert said(caplog) == []
    arrived(server, stored)
    assert server.artifacts.versions == []


def test_members_have_an_artifact_each(planted, server, caplog):  # noqa: F811
    stored = run(build(planted(*ONLINE, "seed=ensemble", "seed.members=2", "observe.kernel.probe=0")))
    assert said(caplog) == []
    assert len(stored) == len(server.artifacts.versions) == 2
    for one in stored:
        uploaded(server, one)


def test_sync_sends_them_of_a_run_that_was_stored_offline(planted, tmp_path, server):  # noqa: F811
    [stored] = run(build(planted("tracking=wandb")))
    assert server.artifacts.versions == []
    folder = str(tmp_path / "results")
    assert main(["sync", folder, "--yes"]) == 0
    uploaded(server, stored)
    # What the server has is not sent again, also where it is not known to have been sent.
    (tmp_path / "results" / "wandb" / "synced" / f"{stored.run_id}.json").unlink()
    assert main(["sync", folder, "--yes"]) == 0
    uploaded(server, stored)
    assert server.requests["storage"] == len(wanted(stored)) + 1  # the manifest
    assert unexpected(tmp_path / "home") == []


@pytest.mark.parametrize("request_name", ["CreateArtifact", "storage", "CommitArtifact"])
def test_refused_upload_fails_no_run(planted, tmp_path, server, caplog, capsys, request_name):  # noqa: F811
    server.failure = {request_name: Failure(403, message="no artifacts for you")}
    stored = run(build(planted(*ONLINE, "seed=ensemble", "seed.members=2", "observe.kernel.probe=0")))
    [message] = said(caplog)
    assert message.startswith("W&B takes no artifacts, training goes on (feature-lazy sync sends them): ")
    for one in stored:
        assert one.done
        assert server.artifacts.committed(f"run-{one.run_id}") == []
        arrived(server, one)
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 1
    captured = capsys.readouterr()
    assert "0 sent, 0 had been sent before, 2 left" in captured.out
    assert "ArtifactSaver" in captured.err
    server.failure = {}
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    for one in stored:
        uploaded(server, one)
        arrived(server, one)


def test_upload_that_hangs_is_left_with_the_run(planted, server, impatient, caplog, monkeypatch):  # noqa: F811
    monkeypatch.setattr(artifacts, "UPLOAD", 2)
    server.failure = {"CreateArtifact": Failure(silent=600)}
    [stored] = run(build(planted(*ONLINE)))
    assert stored.done
    # The end of the run waits behind the upload in W&B's own process.
    assert said(caplog) == ["Tracking by wandb stopped, training goes on: TimeoutError: Timed out finishing run."]


def test_offline_they_are_in_the_file_of_wandb(planted, tmp_path, nobody, caplog):  # noqa: F811
    [stored] = run(build(planted("tracking=wandb")))
    nobody()
    assert said(caplog) == []
    [[written]] = offline_runs(tmp_path / "results").values()
    [artifact] = written.artifacts
    assert (artifact["name"], artifact["type"]) == (f"run-{stored.run_id}", "run")
    assert artifact["metadata"] == stored.columns
    files = {entry["path"]: entry for entry in artifact["manifest"]["contents"]}
    digests = {name: base64.b64encode(hashlib.md5(data).digest()).decode() for name, data in wanted(stored).items()}
    assert {name: entry["digest"] for name, entry in files.items()} == digests
    # Where they are stored: no copies in the user's home.
    assert files["outputs.safetensors"]["local_path"] == str(stored.path / "outputs.safetensors")
    assert unexpected(tmp_path / "home") == []


def test_only_plain_files_below_the_run_are_uploaded(tmp_path, caplog):
    """A stored configuration says what is uploaded, and may be a stranger's."""
    folder, secret = tmp_path / "runs" / "id", tmp_path / "secret"
    (folder / "in" / "deep").mkdir(parents=True)
    secret.write_text("precious")
    for name in ("a", "in/b", "in/deep/c"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to(secret)
    (folder / "in" / "link").symlink_to(secret)
    (folder / "in" / "links").symlink_to(tmp_path)
    os.mkfifo(folder / "in" / "pipe")
    hostile = [
        str(secret),
        "../../secret",
        "in/../../../secret",
        "link",
        "in/links/secret",
        "/etc/passwd",
        "~/.bashrc",
        "none",
    ]
    assert artifacts.files(folder, hostile) == {}
    assert "../../secret is no name of a file below" in caplog.text
    assert set(artifacts.files(folder, ["a", "in"])) == {"a", "in/b", "in/deep/c"}
    (tmp_path / "runs" / "other").symlink_to(folder)
    assert artifacts.files(tmp_path / "runs" / "other", ["a"]) == {}


@pytest.mark.parametrize(
    ("words", "entity", "terminal", "answer", "sent"),
    [
        ([], "stranger", False, "", False),
        ([], None, False, "", False),
        ([], "stranger", True, "n", False),
        ([], "stranger", True, "y", True),
        (["--yes"], "stranger", False, "", True),
        (["--project", "mine"], "stranger", False, "", False),
        (["--project", "mine"], None, False, "", True),
        (["--project", "mine", "--entity", "me"], "stranger", False, "", True),
    ],
)
def test_where_runs_go_is_shown_and_asked_for(monkeypatch, capsys, words, entity, terminal, answer, sent):
    options = parser().parse_args(["sync", "DIR", *words])
    changes = {name: value for name in ("project", "entity") if (value := getattr(options, name))}
    place = replace(Place("theirs", entity, artifacts=("outputs.safetensors",)), **changes)
    stdin = io.StringIO(f"{answer}\n")
    stdin.isatty = lambda: terminal
    monkeypatch.setattr("sys.stdin", stdin)
    found = _agreed(SimpleNamespace(server="https://api.example"), [SimpleNamespace(place=place)], options)
    assert found == sent
    said = capsys.readouterr().out
    assert "1 run to https://api.example" in said
    assert str(place) in said
