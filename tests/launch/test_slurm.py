"""What concerns SLURM and needs none: how jobs are dealt out, what its programs say, and their absence."""

import itertools
import json
import os
import re
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.launch.slurm import follow, preview, programs, queue, shared, standing, submissions
from feature_lazy.launch.slurm.packing import arrays, packs
from feature_lazy.launch.slurm.programs import SlurmError
from feature_lazy.launch.slurm.settings import Settings
from feature_lazy.launch.slurm.submissions import Submission, assignments
from feature_lazy.launch.slurm.submit import SlurmJob, Submitter
from feature_lazy.runs.job import Job
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK, TINY


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 12))
def test_packs_hold_every_job_once_in_order_and_as_many_cells_as_fit(sizes, limit):
    groups = packs(sizes, limit)
    assert [index for group in groups for index in group] == list(range(len(sizes)))
    for group, following in itertools.pairwise(groups):
        assert sum(sizes[i] for i in group) <= limit or len(group) == 1
        assert sum(sizes[i] for i in group) + sizes[following[0]] > limit  # the next did not fit


@given(st.integers(1, 500), st.integers(1, 60), st.integers(1, 300))
def test_arrays_hold_every_job_once_and_keep_the_limits(n_jobs, largest, parallelism):
    found = arrays(n_jobs, largest, parallelism)
    assert sorted(index for array in found for index in array.members) == list(range(n_jobs))
    assert max(len(array.members) for array in found) <= largest
    assert min(array.parallelism for array in found) >= 1
    at_once = [array for array in found if array.after is None]
    assert sum(array.parallelism for array in at_once) <= parallelism
    assert len(found) > parallelism or len(at_once) == len(found)
    for number, array in enumerate(found):
        # Whoever waits takes the place, and the share, of one that is over.
        assert array.after is None or (array.after < number and found[array.after].parallelism >= array.parallelism)
    waited_for = [array.after for array in found if array.after is not None]
    assert len(waited_for) == len(set(waited_for))


def test_ids_as_slurm_takes_them():
    assert queue.compact(["12", "15_0", "15_2", "15_1", "15_7"]) == "12,15_[0-2,7]"
    assert programs.ranges([]) == ""
    assert queue.expanded("15_[0-2,7,10-14:2%3]") == [f"15_{i}" for i in (0, 1, 2, 7, 10, 12, 14)]
    assert [queue.expanded(job) for job in ("12", "15_3")] == [["12"], ["15_3"]]


NO_CLUSTER = "fatal: Could not establish a configuration source"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a program of SLURM's name, with an answer of its own, in front of the path.

    The others answer as on a machine that belongs to no cluster, whether SLURM is installed here or not.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name, output="", error="", status=0):
        path = folder / name
        lines = [f"cat <<'END'\n{output}\nEND" if output else "", f"cat >&2 <<'END'\n{error}\nEND" if error else ""]
        path.write_text("\n".join(["#!/bin/sh", *lines, f"exit {status}"]))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    for name in ("sbatch", "srun", "squeue", "sacct", "sinfo", "scontrol"):
        make(name, error=f"{name}: {NO_CLUSTER}", status=1)
    return make


def test_states_of_waiting_running_and_ended_jobs(fake):
    fake("squeue", "7_1|RUNNING|None|node3\n7_2|PENDING|JobHeldUser|\n8|PENDING|Priority|")
    steps = "7_3|FAILED|1:0|node1\n7_3.batch|FAILED|1:0|node1\n7_3.0|OUT_OF_MEMORY|0:125|node1\n9.0|CANCELLED|0:9|node2"
    fake(
        "sacct",
        f"7_0|CANCELLED by 0|0:0|node1\n9|FAILED|9:0|node2\n{steps}\n7_[10-12]|CANCELLED by 0|0:0|\n7_1|REQUEUED|0:0|n",
    )
    found = queue.states(["7_0", "7_1", "7_2", "7_3", "7_11", "8", "9", "10"])
    assert found["7_1"] == queue.JobState("RUNNING", True, "", "node3")
    assert found["7_2"].stuck
    assert not found["8"].stuck
    assert "2 PENDING (JobHeldUser); some will not start" in follow.summary([found["7_2"]] * 2)
    assert follow.summary([found["8"], found["7_1"]]) == "1 PENDING (Priority), 1 RUNNING"
    assert [found[job].name for job in ("7_0", "7_11", "7_3")] == ["CANCELLED", "CANCELLED", "OUT_OF_MEMORY"]
    assert "signal 9" in queue.story(found["9"])
    assert "raise hydra.launcher.mem_gb" in queue.story(found["7_3"])
    assert "SLURM does not know how" in str(found["10"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10:00", 10), ("2:30:00", 150), ("1-00:00:00", 1440), ("7-12", 10800), ("0:30", 0.5), ("infinite", None)],
)
def test_time_limits_as_slurm_writes_them(text, expected):
    assert programs.minutes(text) == expected


def test_time_limit_of_a_partition(fake):
    fake("sinfo", "fast 30:00\nslow* 2-00:00:00\nhuge infinite")
    assert [programs.time_limit(name) for name in ("fast", None, "huge")] == [30, 2880, None]


def test_cluster_without_accounting(fake):
    fake("squeue")
    fake("sacct", error="Slurm accounting storage is disabled", status=1)
    assert queue.states(["5"]) == {"5": queue.JobState()}


def test_controller_that_does_not_answer(fake):
    fake("squeue", error="slurm_load_jobs error: Unable to contact slurm controller (connect failure)", status=1)
    with pytest.raises(programs.SlurmError, match="scontrol ping"):
        queue.live_jobs()


def test_missing_slurm_is_a_sentence(tmp_path, train_py, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = train_py(tmp_path / "results", "-m", "hydra/launcher=slurm_cpu", *TINY, "alpha.value=1,2")
    assert done.returncode != 0
    assert "sbatch, srun, squeue is not in the path" in done.stderr
    assert "hydra/launcher=local" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results" / "plans").exists()


def test_what_slurm_refuses_is_not_planned(fake, tmp_path, train_py):
    """Else status would have runs that nobody queued."""
    done = train_py(tmp_path / "results", "-m", "hydra/launcher=slurm_cpu", *TINY, "alpha.value=1,2")
    assert done.returncode != 0
    assert "no cluster that they know of: run this on a login node" in done.stderr
    assert not (tmp_path / "results" / "plans").exists()


def test_dry_run_needs_no_slurm_writes_no_plan_and_names_jobs_and_hours(tmp_path, train_py, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "results"
    pack = ("hydra.launcher.dry_run=true", "hydra.launcher.pack=4")
    sweep = (*TINY, *QUICK[1:], "alpha.value=1,2,3", "seed=ensemble", "seed.members=2")
    done = train_py(folder, "-m", "hydra/launcher=slurm_cpu", *pack, *sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 cells in 2 jobs, 1 array of at most 1001, 256 at once" in done.stdout
    assert "a guess of 250 gradients" in done.stdout
    asked = re.search(r"Each job asks for (.*?) About", " ".join(done.stdout.split()))[1].split(", ")
    assert {"timeout_min=240", "signal_delay_s=180", "cpus_per_task=4", "mem_gb=8", "requeue=True"} <= set(asked)
    assert list((folder / "plans").glob("*")) == []
    assert train_py(folder, "-m", *sweep[:-3], "alpha.value=1").returncode == 0
    again = train_py(folder, "-m", "hydra/launcher=slurm_cpu", *pack, *sweep)
    assert "5 cells in 2 jobs" in again.stdout
    assert "scaled from 1 run done here" in again.stdout


@pytest.mark.parametrize("needed", [True, False])
def test_a_dry_run_says_what_a_submission_lacks(tiny, tmp_path, monkeypatch, capsys, needed):
    """Each in a line, where it applies: a site file, a pack of short cells, a GPU that is not used."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(preview, "site_file", lambda: tmp_path / "site.yaml")
    if not needed:
        (tmp_path / "site.yaml").write_text("all: {}")
    longer = () if needed else ("width.h=20000",)
    configs = [tiny(f"alpha.value={alpha}", *longer) for alpha in (1, 2, 3)]
    jobs = [SlurmJob((Job(one, tuple(cell.run_id for cell in cells(one))),)) for one in configs]
    preview.preview(tmp_path, jobs, Settings("", executor={"gpus_per_node": int(needed)}))
    said = capsys.readouterr().out
    assert "3 SLURM jobs" in said
    lines = (
        "There is no slurm/site.yaml, with what this cluster needs: see slurm/README.md",
        "Jobs of 10s mostly wait and start: hydra.launcher.pack=3 puts 3 cells into one",
    )
    assert [line in said.splitlines() for line in lines] == [needed, needed]
    assert ("Every job holds a GPU and trains on the CPU" in said) == needed


def test_what_slurm_says_in_refusing_is_said_once(fake, tmp_path, tiny, capfd):
    """By the error, which has advice, and not by submitit before it."""
    fake("squeue")
    fake("sbatch", error="sbatch: error: invalid partition specified: nope", status=1)
    fake("sinfo", output="short*")
    config = tiny()
    submitter = Submitter(tmp_path, Settings(str(tmp_path / "slurm")))
    tasks = [submitter._task(SlurmJob((Job(config, ("a",)),)), tmp_path, "name", number) for number in (0, 1)]
    with pytest.raises(SlurmError, match=r"SLURM says: invalid partition specified: nope\nset .* to one of: short"):
        submitter._hand_over(tasks, tmp_path, 1, None)
    assert capfd.readouterr() == ("", "")


def test_submissions_are_read_back_and_damaged_ones_named(tmp_path):
    first = Submission(
        "2026-01-01T00-00-00Z", {"pack": 1}, "sources/a", {"7_0": ("r1",), "7_1": ("r2",)}, {"7_0": "log"}
    )
    second = Submission("2026-01-01T00-00-00Z-1", {"pack": 1}, "sources/a", {"8": ("r2",)})
    submissions.write(tmp_path, first)
    submissions.write(tmp_path, second)
    found, problems = submissions.read(tmp_path)
    assert (found, problems) == ([first, second], [])
    latest = assignments(found)
    assert {run: latest[run].job for run in latest} == {"r1": "7_0", "r2": "8"}
    third, fourth = (submissions.begin(tmp_path, {}, "sources/a").name for _ in range(2))
    assert third != fourth
    for name in (third, fourth):
        (tmp_path / "slurm" / f"{name}.json").unlink()
    for text in ("", "[]", "{}", '{"schema": 2}', json.dumps({"schema": 1, "jobs": 3})):
        (tmp_path / "slurm" / "damaged.json").write_text(text)
        found, problems = submissions.read(tmp_path)
        assert len(found) == 2
        assert "damaged.json is damaged" in problems[0]


@pytest.mark.parametrize(
    ("kind", "node", "outcome"),
    [
        ("tmpfs", "node1", "refused"),
        ("ext4", "node1", "warned"),
        ("nfs4", "node1", "silent"),
        ("tmpfs", "here", "silent"),
    ],
)
def test_results_folder_that_nodes_cannot_see(fake, monkeypatch, tmp_path, kind, node, outcome):
    monkeypatch.setattr(shared, "file_system", lambda folder: kind)
    monkeypatch.setattr(shared.socket, "gethostname", lambda: "here.cluster.org")
    fake("scontrol", f"NodeName=n1 Arch=x\n   NodeAddr=10.0.0.1 NodeHostName={node} Version=22\n")
    if outcome == "refused":
        with pytest.raises(programs.SlurmError, match="in the memory of here"):
            shared.check_shared(tmp_path)
    else:
        assert (shared.check_shared(tmp_path) is not None) == (outcome == "warned")


def test_file_system_of_a_folder_is_that_of_its_nearest_mount(monkeypatch, tmp_path):
    import psutil

    mounts = {"/": "ext4", str(tmp_path.resolve()): "nfs4", str(tmp_path.resolve() / "a" / "b"): "tmpfs"}
    parts = [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)
    assert shared.file_system(tmp_path / "a") == "nfs4"
    assert shared.file_system(tmp_path / "a" / "b" / "c") == "tmpfs"
    assert shared.file_system(tmp_path.resolve().parent) == "ext4"


def test_commonest_refusal_of_a_large_sweep_gets_its_own_advice():
    words = (
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates "
        "accounting/QOS policy (job submit limit, user's size and/or time limits)"
    )
    assert "raise hydra.launcher.pack" in programs.explained(words)
    assert "timeout_min" not in programs.explained(words)


def test_accounting_that_lags_says_nothing_of_an_ending(fake):
    fake("squeue")
    fake("sacct", "5|RUNNING|0:0|node1\n6|COMPLETED|0:0|node1")
    assert queue.states(["5", "6"]) == {"5": queue.JobState(), "6": queue.JobState("COMPLETED", node="node1")}


def test_queue_that_does_not_answer_is_not_an_empty_one(fake, tmp_path):
    """Else the runs of waiting jobs would be submitted again."""
    fake("squeue", error="slurm_load_jobs error: Socket timed out on send/recv operation", status=1)
    submissions.write(tmp_path, Submission("a", {}, "sources/a", {"7": ("r1",)}))
    with pytest.raises(programs.SlurmError, match="Socket timed out"):
        standing.standings(tmp_path)
    (tmp_path / "runs" / "r1").mkdir(parents=True)
    assert "Socket timed out" in standing.survey_with_slurm(tmp_path).problems[0]
    with pytest.raises(programs.SlurmError, match="Socket timed out"):
        standing.survey_with_slurm(tmp_path, certain=True)
    (tmp_path / "slurm" / "a.json").write_text("{")
    with pytest.raises(programs.SlurmError, match="damaged"):
        standing.standings(tmp_path)


def test_a_persons_defaults_for_squeue_hide_no_job(fake, monkeypatch):
    monkeypatch.setenv("SQUEUE_STATES", "R")
    fake("squeue")
    path = Path(os.environ["PATH"].split(os.pathsep)[0]) / "squeue"
    path.write_text('#!/bin/sh\necho "7|${SQUEUE_STATES:-PENDING}|None|"\n')
    assert queue.live_jobs()["7"].name == "PENDING"
