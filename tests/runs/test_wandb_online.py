"""A real W&B client against a double of its server: what arrives, and what becomes of a run when it does not."""

import logging
import os
import subprocess

import psutil
import pytest

from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.tracking import wandb as sink
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK
from tests.processes import start, train
from tests.runs.test_tracking import said
from tests.runs.wandb_files import agree, nobody, offline_runs, settle  # noqa: F401 - a fixture
from tests.runs.wandb_server import KEY, Failure, WandbServer

ONLINE = ("tracking=wandb", "tracking.mode=online")
TAKES_NONE = "W&B takes no runs, they are written offline (feature-lazy sync sends them): "


@pytest.fixture
def server(nobody, monkeypatch):  # noqa: F811
    with WandbServer() as double:
        monkeypatch.setenv("WANDB_BASE_URL", double.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield double
        nobody()  # while there is a server to answer


@pytest.fixture
def impatient(monkeypatch):
    """Where the server never answers as it should, there is no use in waiting long."""
    monkeypatch.setattr(sink, "SECONDS", 2)


def online_run(server, stored):
    return server.runs["feature_lazy", stored.run_id]


def arrived(server, stored):
    """A run on the server has all that is stored of it, once."""
    shown = online_run(server, stored)
    agree(shown.history, stored)
    assert {name: shown.summary[name] for name in stored.summary} == stored.summary
    assert {name: shown.config[name]["value"] for name in stored.columns} == stored.columns
    assert (shown.complete, shown.exitcode) == (True, 0)


def test_run_is_shown_and_goes_on_as_one(tiny, server, caplog):
    for budget in (5, 12, 10**6):
        [stored] = run(build(tiny("alpha.value=1", *ONLINE, f"dynamics.max_steps={budget}")))
    arrived(server, stored)
    assert online_run(server, stored).about["groupName"] == "results"
    assert server.requests["RunResumeStatus"] == 3
    assert said(caplog) == []


def test_server_that_is_busy_is_asked_again(tiny, server, caplog):
    server.failure = {"graphql": Failure(429, times=1), "stream": Failure(429, times=1)}
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    arrived(server, stored)
    assert said(caplog) == []


def local(tmp_path, stored, caplog, sentence, nobody):  # noqa: F811
    """The run is done, its W&B files are there, and one sentence says why they went no further."""
    assert stored.done
    [message] = said(caplog)
    assert message.startswith(TAKES_NONE)
    assert sentence in message
    nobody()
    [[written]] = offline_runs(tmp_path / "results").values()
    agree(written.rows, stored)


@pytest.mark.parametrize("status", [429, 500])
def test_server_that_refuses(impatient, tiny, tmp_path, server, caplog, nobody, status):  # noqa: F811
    server.failure = {"graphql": Failure(status)}
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    # Some versions of the client give up on 429 and 500, others wait for as long as they may.
    local(tmp_path, stored, caplog, "", nobody)


KEY_IS_WRONG = "the server does not accept the API key; log in again by wandb login --relogin, or set WANDB_API_KEY"
MAY_NOT = "the account may not write to project 'feature_lazy' of 'others'; choose another by tracking.entity=NAME"
NO_SUCH = "the server has no project 'feature_lazy' of 'others'; choose another by tracking.entity=NAME"
REFUSALS = {
    "401": ("graphql", Failure(401, message="user is not logged in"), KEY_IS_WRONG),
    "401 at the run": ("UpsertBucket", Failure(401, message="user is not logged in"), KEY_IS_WRONG),
    "403": ("graphql", Failure(403, message="no"), MAY_NOT),
    "403 at the run": ("UpsertBucket", Failure(403, message="permission denied"), MAY_NOT),
    "404": ("UpsertBucket", Failure(404, message="entity others not found during upsertBucket"), NO_SUCH),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refusal_says_what_to_do(tiny, tmp_path, server, caplog, capsys, nobody, refusal):  # noqa: F811
    request, failure, sentence = REFUSALS[refusal]
    server.failure = {request: failure}
    job = tiny(*QUICK, *ONLINE, "tracking.entity=others", "seed=ensemble", "seed.members=2", "observe.kernel.probe=0")
    stored = run(build(job))
    assert all(one.done for one in stored)
    [message] = said(caplog)
    assert message.startswith(TAKES_NONE + sentence)
    assert failure.message in message
    assert server.requests.total() <= 2  # the second run does not try
    nobody()
    for one in stored:
        [written] = offline_runs(tmp_path / "results")[one.run_id]
        agree(written.rows, one)
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 1
    # Once for both runs.
    assert capsys.readouterr().err.count(sentence) == 1
    server.failure = {}
    nobody()  # the command is called again, in another process
    assert main(["sync", str(tmp_path / "results"), "--yes"]) == 0
    for one in stored:
        arrived(server, one)


def test_key_that_is_none_says_what_to_do(tiny, tmp_path, server, caplog, nobody, monkeypatch):  # noqa: F811
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    local(tmp_path, stored, caplog, KEY_IS_WRONG, nobody)


def test_server_that_hangs(impatient, tiny, tmp_path, server, caplog, nobody):  # noqa: F811
    server.failure = {"graphql": Failure(silent=600)}
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    local(tmp_path, stored, caplog, "", nobody)


def test_no_login(tiny, tmp_path, server, caplog, nobody, monkeypatch):  # noqa: F811
    monkeypatch.delenv("WANDB_API_KEY")
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    local(tmp_path, stored, caplog, "wandb login", nobody)
    assert not server.requests


def test_no_network(impatient, tiny, tmp_path, server, caplog, nobody, monkeypatch):  # noqa: F811
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    local(tmp_path, stored, caplog, "127.0.0.1:9", nobody)


def test_id_that_exists_with_another_configuration(tiny, tmp_path, server, caplog, nobody):  # noqa: F811
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    foreign = online_run(server, stored)
    foreign.config["science"]["value"]["dataset"]["n_train"] = 21
    before = dict(foreign.config)
    caplog.clear()
    [again] = run(build(tiny(*QUICK, *ONLINE, f"output_dir={tmp_path / 'again' / 'results'}")))
    sentence = f"project 'feature_lazy' has a run {again.run_id} with another configuration; choose another"
    local(tmp_path / "again", again, caplog, sentence, nobody)
    assert server.requests["RunResumeStatus"] == 2  # once for each
    assert foreign.config["science"] == before["science"]
    assert len(foreign.history) == len(stored.rows)


@pytest.mark.parametrize("failure", [Failure(403), Failure(429), Failure(silent=600)], ids=["403", "429", "hangs"])
def test_server_that_takes_no_history(impatient, tiny, server, failure, capfd):
    """Then W&B says so itself; here it is told only where the end of the run runs into its time limit."""
    server.failure = {"stream": failure}
    [stored] = run(build(tiny(*QUICK, *ONLINE)))
    assert stored.done
    assert online_run(server, stored).history == []
    assert "Some run data will not be synced" in capfd.readouterr().err


def kill_wandb():
    """Kill W&B's own process, a child of this one."""
    cores = [child for child in psutil.Process().children(recursive=True) if child.name() == "wandb-core"]
    assert cores
    for core in cores:
        core.kill()
        core.wait()


def train_and_kill_wandb(configs, folder, environment):
    """Train, kill W&B's process after three observations of the first run, and write down what is said."""
    settle(folder / "home", environment)
    logging.basicConfig(filename=folder / "log", format="%(name)s %(message)s")
    log = sink.Wandb.log

    def killing(self, cell, step, row):
        if step == 3 and cell.seed == configs[0].seed.value:
            kill_wandb()
        log(self, cell, step, row)

    sink.Wandb.log = killing
    for config in configs:
        train(config)
    import wandb

    wandb.teardown()  # which writes what is in buffers; such a process calls nothing at its exit


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_crash_of_wandb_fails_no_run_and_the_next_one_is_tracked(tiny, tmp_path, store, server, mode):
    configs = [tiny(*QUICK, "tracking=wandb", f"tracking.mode={mode}", f"seed.value={seed}") for seed in (0, 1)]
    account = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    process = start(train_and_kill_wandb, configs, tmp_path, account)
    process.join()
    assert process.exitcode == 0
    first, second = [store.load(cells(config)[0].run_id) for config in configs]
    assert first.done
    said = [
        line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("feature_lazy.runs.tracking")
    ]
    assert len(said) == 1
    assert "Tracking by wandb stopped, training goes on: " in said[0]
    if mode == "online":
        arrived(server, second)
    else:
        [written] = offline_runs(tmp_path / "results")[second.run_id]
        agree(written.rows, second)


def test_full_disk_fails_no_run(tiny, tmp_path, nobody):  # noqa: F811
    folder = tmp_path / "results" / "wandb"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        [stored] = run(build(tiny(*QUICK, "tracking=wandb")))
        assert stored.done
        assert os.statvfs(folder).f_bavail == 0
        nobody()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_no_secret_in_any_file(tiny, tmp_path, server, nobody):  # noqa: F811
    run(build(tiny(*QUICK, *ONLINE)))
    server.failure = {"graphql": Failure(403)}
    run(build(tiny(*QUICK, *ONLINE, "seed.value=1")))
    nobody()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".wandb"]) >= 2
    assert [str(path) for path in files if KEY.encode() in path.read_bytes()] == []
