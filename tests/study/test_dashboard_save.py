"""Saving the dashboard through W&B's own client, to a server of the tests; and every way in which that can fail."""

import json
import sys
import time

import pytest

from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from tests.conftest import QUICK
from tests.study.wandb_accounts import WandbServer, dashboard

KEY = "0123456789" * 4
HINT = "--dry-run needs neither account nor network."


@pytest.fixture
def server():
    with WandbServer() as running:
        yield running
        running.closed.set()
        running.shutdown()


@pytest.fixture
def save(server, tmp_path):
    """Call the command with an account on the server."""

    def call(*arguments, **options):
        return dashboard(tmp_path, *arguments, **{"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY} | options)

    return call


def without_projects(spec):
    """A specification without what is known only by the server: the projects of its run sets."""
    if isinstance(spec, dict):
        return {k: without_projects(v) for k, v in spec.items() if not (k == "project" and "runFeed" in spec)}
    return [without_projects(one) for one in spec] if isinstance(spec, list) else spec


def test_what_is_saved_is_what_the_dry_run_shows(server, save, capsys):
    done = save("laziness", "--sweep", "demo")
    assert (done.returncode, done.stderr) == (0, "")
    workspace, report = server.saved
    view = workspace["name"].removeprefix("nw-").removesuffix("-v")
    assert done.stdout.splitlines() == [
        f"workspace: {server.url}/team/laziness?nw={view}",
        f"report: {server.url}/team/laziness/reports/Lazy-or-feature-training,-demo--view2",
    ]
    assert {(one["entityName"], one["projectName"]) for one in server.saved} == {("team", "laziness")}
    assert [one["type"] for one in server.saved] == ["project-view", "runs"]
    assert main(["dashboard", "laziness", "--sweep", "demo", "--dry-run"]) == 0
    dry = json.loads(capsys.readouterr().out)
    assert json.loads(workspace["spec"]) == dry["workspace"]["spec"]
    saved = json.loads(report["spec"])
    assert without_projects(saved) == dry["report"]["spec"]
    sets = [runs for block in saved["blocks"] if block["type"] == "panel-grid" for runs in block["metadata"]["runSets"]]
    assert len(sets) == 12
    assert all(runs["project"] == {"name": "laziness", "entityName": "team", "id": "7"} for runs in sets)


@pytest.mark.parametrize(("which", "kind"), [("--workspace", "project-view"), ("--report", "runs")])
def test_one_of_the_two(server, save, which, kind):
    done = save("laziness", which)
    assert done.returncode == 0
    assert [one["type"] for one in server.saved] == [kind]
    assert done.stdout.startswith(which.removeprefix("--"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("laziness", "--entity", "other"),
            "looking for other/laziness failed: Could not find project laziness. Check",
        ),
        (("lazyness",), "looking for team/lazyness failed: Could not find project lazyness. Check --entity,"),
        (("laziness", "--sweep", "demmo"), "team/laziness has no runs in group demmo: upload them with `wandb sync`,"),
    ],
)
def test_nothing_is_saved_for_what_is_not_there(server, save, arguments, sentence):
    failed = save(*arguments)
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert sentence in failed.stderr
    assert server.saved == []


def test_no_permission_to_write_is_one_sentence(server, save):
    server.refusal = "permission denied"
    failed = save("laziness")
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert "saving the workspace to team/laziness failed: " in failed.stderr
    assert "permission denied" in failed.stderr


def test_server_that_does_not_answer_is_given_up(server, save):
    def timed():
        begun = time.monotonic()
        return save("laziness", timeout=1), time.monotonic() - begun

    _, answered = timed()
    server.silent = True
    failed, silent = timed()
    # The command itself is mostly imports, 3 s of quiet cores. Measured: 1 s more; 20 s with the client's own wait.
    assert silent < 4 * answered
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert failed.stderr.startswith("Weights & Biases: the login failed: ")
    assert failed.stderr.endswith(HINT + "\n")


@pytest.mark.parametrize("environment", [{}, {"WANDB_MODE": "offline"}])
def test_without_login_is_one_sentence(tmp_path, environment):
    failed = dashboard(tmp_path, "laziness", **environment)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        "Not logged in to Weights & Biases: call `wandb login`, or set WANDB_API_KEY and no WANDB_MODE; " + HINT + "\n"
    )


def test_key_that_is_none_is_one_sentence(tmp_path):
    failed = dashboard(tmp_path, "laziness", WANDB_API_KEY="short")
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert "the login failed: WANDB_API_KEY invalid" in failed.stderr


def test_without_the_package_the_sentence_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["dashboard", "laziness", "--dry-run"]) == 1
    assert capsys.readouterr().err == (
        "The dashboard needs the package wandb-workspaces: pip install 'feature_lazy[dashboard]'.\n"
    )


@pytest.mark.parametrize("project", ["team/laziness", ""])
def test_project_with_its_team_is_refused(capsys, project):
    assert main(["dashboard", project, "--dry-run"]) == 1
    assert capsys.readouterr().err.endswith("a project's name has no /; name the team or user with --entity.\n")


def test_file_that_cannot_be_written_is_one_sentence(capsys, tmp_path):
    (tmp_path / "file").touch()
    assert main(["dashboard", "laziness", "--dry-run", str(tmp_path / "file" / "spec.json")]) == 1
    assert capsys.readouterr().err.endswith("it cannot be written: File exists.\n")


def test_report_tells_how_the_sweep_was_made_and_its_laws(tiny, capsys, tmp_path):
    for alpha in (1e3, 1e4):
        run(build(tiny(*QUICK, f"alpha.value={alpha}", "seed=ensemble", "seed.members=2")))
    assert main(["dashboard", "laziness", "--report", "--results", str(tmp_path / "results"), "--dry-run"]) == 0
    text = json.loads(capsys.readouterr().out)["report"]["spec"]["blocks"][-2]["content"]
    rows = dict(line.strip("| ").split(" | ", 1) for line in text.splitlines() if line.startswith("| "))
    assert rows["runs"] == "4: 4 converged"
    assert (rows["h"], rows["√h·α"], rows["seeds"], rows["P"]) == ("8", "2 values, 1000 … 10000", "2", "20")
    assert rows["dataset"] == "digits"
    assert "torch " in rows["versions"]
    assert rows["trained"].count("T") == rows["trained"].count(" … ") + 1
    where, expected, measured, verdict = rows["kernel change, lazy exponent"].split(" | ")
    assert (where.split(";")[0], expected) == ("Fig. 5a", "-1")
    assert verdict in ("agrees", "differs")
    # Measured: −1.001; what is left of the next order at √h·α = 1e3.
    assert float(measured.split(" ± ")[0]) == pytest.approx(-1, abs=0.01)


def test_results_that_are_none_are_one_sentence(capsys, tmp_path):
    assert main(["dashboard", "laziness", "--results", str(tmp_path), "--dry-run"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
