"""``feature-lazy sync``: stored runs on a double of W&B's server, once each, whatever had happened before."""

import os
import signal
import sys
from contextlib import redirect_stderr

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.reading import HISTORY, load_run
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.tracking import wandb as sink
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK
from tests.processes import start, train, wait_for
from tests.runs.test_wandb_online import ONLINE, arrived, kill_wandb, online_run, server  # noqa: F401 - a fixture
from tests.runs.wandb_files import agree, nobody, offline_runs, settle  # noqa: F401 - a fixture
from tests.runs.wandb_server import KEY, Failure

CELLS = 3
SEEDS = 10


def train_all(configs, home):
    settle(home)
    for config in configs:
        train(config)
    import wandb

    wandb.teardown()  # which writes what is in buffers; such a process calls nothing at its exit


def stopped(configs, tmp_path, number):
    """Train a sweep, and send a signal when its second or third job has observed something of every member."""
    process = start(train_all, configs, tmp_path / "home")
    folder = tmp_path / "results" / "runs"
    job = configs[1 if number == signal.SIGKILL else 2]
    files = [folder / cell.run_id / HISTORY for cell in cells(job)]
    try:
        wait_for(lambda: all(path.exists() and path.read_bytes().count(b"\n") > 2 for path in files))
        os.kill(process.pid, number)
        process.join()
    finally:
        process.kill()  # else the end of the tests would wait for it
    assert process.exitcode == -number


def test_sweep_of_thirty_killed_stopped_resumed_and_sent(tiny, tmp_path, server, nobody, capsys):  # noqa: F811
    slow = (*QUICK, "observe.kernel.probe=0", "checkpoint_every=0.5")
    ensemble = ("seed=ensemble", f"seed.members={SEEDS}", "tracking=wandb")
    configs = [tiny(*slow, *ensemble, f"alpha.value={value}") for value in (10, 20, 40)]
    stopped(configs, tmp_path, signal.SIGKILL)
    stopped(configs, tmp_path, signal.SIGTERM)
    interrupted = offline_runs(tmp_path / "results")
    process = start(train_all, configs, tmp_path / "home")
    process.join()
    assert process.exitcode == 0
    stored = {one.run_id: one for one in load_sweep(tmp_path / "results").runs}
    assert len(stored) == CELLS * SEEDS
    found = offline_runs(tmp_path / "results")
    assert found.keys() == stored.keys()
    for run_id, segments in found.items():
        [written] = segments
        agree(written.rows, stored[run_id])
        assert written.closed
        assert {name: written.summary[name] for name in stored[run_id].summary} == stored[run_id].summary
    # The third job had been stopped between two observations, so its runs did go on.
    partial = [len(segments[0].rows) for run_id, segments in interrupted.items() if run_id in by_job(configs[2])]
    assert len(partial) == SEEDS
    assert all(0 < rows < len(stored[run_id].rows) for rows, run_id in zip(partial, by_job(configs[2]), strict=True))
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    assert "30 sent, 0 had been sent before, 0 left" in capsys.readouterr().out
    assert len(server.runs) == len(stored)
    for one in stored.values():
        arrived(server, one)
    requests = server.requests.total()
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    assert "0 sent, 30 had been sent before, 0 left" in capsys.readouterr().out
    assert server.requests.total() == requests


def by_job(config):
    return sorted(cell.run_id for cell in cells(config))


def test_part_of_a_run_is_sent_and_then_the_rest(tiny, tmp_path, server, capsys):  # noqa: F811
    folder = str(tmp_path / "results")
    run(build(tiny("alpha.value=1", "tracking=wandb", "dynamics.max_steps=9")))
    assert main(["sync", folder, "--yes"]) == 0
    [part] = run(build(tiny("alpha.value=1", "dynamics.max_steps=9")))
    agree(online_run(server, part).history, part)
    assert online_run(server, part).summary["outcome"] == "max_steps"
    assert list((tmp_path / "results" / "wandb").glob("offline-run-*/*.synced"))
    [stored] = run(build(tiny("alpha.value=1", "tracking=wandb")))
    assert len(stored.rows) > len(part.rows)
    assert main(["sync", folder, "--yes"]) == 0
    arrived(server, stored)
    assert capsys.readouterr().out.count("1 sent, 0 had been sent before, 0 left") == 2


def test_what_the_server_did_not_take_is_sent_later(tiny, tmp_path, server, capsys):  # noqa: F811
    """Online, the server took the run's beginning and none of its history."""
    server.failure = {"stream": Failure(403)}
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 1
    captured = capsys.readouterr()
    assert f"The server has 0 of {len(stored.rows)} observations; repeat the command." in captured.err
    assert "0 sent, 0 had been sent before, 1 left" in captured.out
    server.failure = {}
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    arrived(server, stored)


def test_server_out_of_reach_is_not_tried_for_every_run(tiny, tmp_path, server, capsys):  # noqa: F811
    run(build(tiny(*QUICK, "tracking=wandb", "seed=ensemble", "seed.members=9")))
    server.failure = {"graphql": Failure(403)}
    assert main(["sync", str(tmp_path / "results"), "--parallel", "2", "--yes"]) == 1
    captured = capsys.readouterr()
    assert "0 sent, 0 had been sent before, 9 left" in captured.out
    assert "403" in captured.err
    assert "The others were not tried." in captured.err
    assert server.requests["RunResumeStatus"] < 9


def sync_and_kill_wandb(folder, environment):
    """Send runs, and kill W&B's process when the first has begun; write down what is said."""
    settle(folder / "home", environment)
    log = sink.Wandb._log

    def killing(self, *arguments, **options):
        if not killed:
            killed.append(kill_wandb())
        log(self, *arguments, **options)

    killed = []
    sink.Wandb._log = killing
    with (folder / "said").open("w") as said, redirect_stderr(said):
        sys.exit(main(["sync", str(folder / "results"), "--parallel", "1", "--yes"]))


def test_crash_of_wandb_leaves_what_is_sent_later(tiny, tmp_path, server, capsys):  # noqa: F811
    stored = run(build(tiny(*QUICK, "tracking=wandb", "seed=ensemble", "seed.members=2")))
    process = start(sync_and_kill_wandb, tmp_path, {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY})
    process.join()
    assert process.exitcode == 1
    assert "W&B's own process has ended; feature-lazy sync sends what is missing" in (tmp_path / "said").read_text()
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    assert "2 sent" in capsys.readouterr().out
    for one in stored:
        arrived(server, one)


def test_runs_without_wandb_are_sent_if_asked_for(tiny, tmp_path, server, capsys):  # noqa: F811
    [stored] = run(build(tiny(*QUICK)))
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    assert "nothing to send" in capsys.readouterr().out
    assert main(["sync", str(tmp_path / "results"), "--all", "--project", "other", "--entity", "team"]) == 0
    shown = server.runs["other", stored.run_id]
    agree(shown.history, stored)
    assert (shown.about["entity"], shown.about["jobType"]) == ("team", "gradient_flow")


def test_mean_of_an_ensemble_is_sent_when_it_has_its_members(tiny, tmp_path, server, capsys):  # noqa: F811
    job = ("seed=ensemble", "seed.members=3", "tracking=wandb", "tracking.ensemble=mean", "alpha.value=1")
    config = tiny(*job)
    write_plan(tmp_path / "results", [config])
    ids = [cell.run_id for cell in cells(config)]
    run(build(config), only=ids[:2])
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    assert "1 ensemble without all members" in capsys.readouterr().out
    assert not server.runs
    run(build(config))
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    [shown] = server.runs.values()
    members = [load_run(tmp_path / "results" / "runs" / run_id) for run_id in ids]
    first = shown.history[0]
    assert first["train/loss"] == pytest.approx(sum(one.rows[0]["train/loss"] for one in members) / 3, rel=1e-14)
    assert shown.config["seeds"]["value"] == [0, 1, 2]
    assert shown.summary["outcome"] == "converged"


def test_settings_of_the_current_folder_send_nothing(tiny, tmp_path, server, monkeypatch, capsys):  # noqa: F811
    """A stranger's folder that is worked in has what W&B reads by itself: a server that gets runs and key."""
    run(build(tiny(*QUICK)))
    check = pytest.importorskip("feature_lazy.study.dashboard.account").check
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.chdir(tmp_path / "results")
    for folder in ("wandb", ".wandb"):
        settings = tmp_path / "results" / folder / "settings"
        settings.parent.mkdir()
        settings.write_text(f"[default]\nbase_url = {server.url}\n")
        assert main(["sync", ".", "--all", "--project", "p", "--entity", "e"]) == 1
        assert f"{settings} would say to W&B where runs are sent" in capsys.readouterr().err
        with pytest.raises(ConfigError, match="would say to W&B"):
            check("p", None, None)
        settings.unlink()
    assert not server.requests
