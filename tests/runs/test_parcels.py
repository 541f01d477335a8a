"""What ``feature-lazy sync`` takes for a parcel, where it goes, and how it is known to have been sent."""

import pytest

from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK
from tests.runs.test_wandb_online import arrived, server  # noqa: F401 - a fixture
from tests.runs.wandb_files import agree, nobody  # noqa: F401 - a fixture
from tests.runs.wandb_server import WandbServer

SEVERAL = ("tracking=several", "tracking.sinks=[wandb,jsonl]")
PLACE = ("entity=team", "group=first", "tags=[a,b]", "project=laziness", "artifacts=[outputs.safetensors]")


@pytest.fixture
def sync(tmp_path, capsys):
    """Call the command, and say what it says."""

    def call(*arguments):
        capsys.readouterr()
        code = main(["sync", str(tmp_path / "results"), "--yes", *arguments])
        return code, capsys.readouterr().out.strip().splitlines()[-1]  # after where it goes

    return call


@pytest.mark.parametrize(
    "job",
    [
        ("tracking=wandb", *(f"tracking.{key}" for key in PLACE)),
        (*SEVERAL, *(f"tracking.wandb.{key}" for key in PLACE)),
    ],
    ids=["wandb", "several"],
)
def test_runs_go_where_their_configuration_says(tiny, tmp_path, server, sync, job):  # noqa: F811
    [stored] = run(build(tiny(*QUICK, *job)))
    assert sync()[0] == 0
    [(address, shown)] = server.runs.items()
    assert address == ("laziness", stored.run_id)
    about = {name: shown.about[name] for name in ("entity", "groupName", "tags", "jobType", "displayName")}
    label = f"√hα=10 h=8 seed={stored.columns['seed']}"
    kind = {"jobType": "gradient_flow", "displayName": label}
    assert about == {"entity": "team", "groupName": "first", "tags": ["a", "b"], **kind}
    assert len(server.artifacts.committed(f"run-{stored.run_id}")) == 1
    # What is sent is written elsewhere, and removed.
    assert list((tmp_path / "results" / "wandb").glob("run-*")) == []


def test_without_a_group_it_is_the_folder(tiny, server, sync):  # noqa: F811
    run(build(tiny(*QUICK, "tracking=wandb")))
    sync()
    [shown] = server.runs.values()
    assert shown.about["groupName"] == "results"


@pytest.mark.parametrize(
    "job", [("tracking=several", "tracking.sinks=[jsonl]"), ("tracking=wandb", "tracking.mode=disabled")]
)
def test_runs_that_did_not_use_it_are_left(tiny, server, sync, job):  # noqa: F811
    run(build(tiny(*QUICK, *job)))
    assert sync() == (
        0,
        "There is nothing to send: no run was trained with tracking=wandb; --all sends the others, too.",
    )
    assert not server.requests


def test_what_was_sent_elsewhere_is_sent(tiny, tmp_path, server, sync, nobody, monkeypatch):  # noqa: F811
    [stored] = run(build(tiny(*QUICK, "tracking=wandb")))
    sent, known = (0, "1 sent, 0 had been sent before, 0 left"), (0, "0 sent, 1 had been sent before, 0 left")
    for place in ((), ("--project", "other"), ("--project", "other", "--entity", "team")):
        assert sync(*place) == sent
        assert sync(*place) == known
    note = tmp_path / "results" / "wandb" / "synced" / f"{stored.run_id}.json"
    note.write_text("{")
    assert sync() == sent
    nobody()
    with WandbServer() as another:
        monkeypatch.setenv("WANDB_BASE_URL", another.url)
        assert sync() == sent
        arrived(another, stored)
        nobody()


def test_what_has_got_longer_is_sent(tiny, server, sync):  # noqa: F811
    for budget in (5, 6, 40):  # the second has no more observations, the third has; the outcome is the same
        [stored] = run(build(tiny("alpha.value=1", "tracking=wandb", f"dynamics.max_steps={budget}")))
        assert stored.summary["outcome"] == "max_steps"
        assert sync() == (0, "1 sent, 0 had been sent before, 0 left")
        shown = server.runs["feature_lazy", stored.run_id]
        agree(shown.history, stored)
        assert shown.summary["t"] == stored.summary["t"]


def test_mean_waits_for_members_that_are_stopped(tiny, tmp_path, server, sync):  # noqa: F811
    job = ("seed=ensemble", "seed.members=2", "tracking=wandb", "tracking.ensemble=mean", "alpha.value=1")
    config = tiny(*job)
    write_plan(tmp_path / "results", [config])
    ids = [cell.run_id for cell in cells(config)]
    run(build(config), only=ids[:1])
    run(build(tiny(*job, "dynamics.max_steps=5")), only=ids[1:])
    code, said = sync()
    assert (code, len(server.runs)) == (0, 0)
    assert "1 ensemble without all members" in said
    run(build(config))
    assert sync() == (0, "1 sent, 0 had been sent before, 0 left")
    assert len(server.runs) == 1
