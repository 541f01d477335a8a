"""The cluster of the tests does what the tests of the launcher rely on."""

import os
import sys

import pytest

from tests.slurm.cluster import call, sbatch, setting, squeue, wait_for_end, wait_until


def test_two_nodes_and_three_partitions():
    rows = call("sinfo", "--noheader", "--Node", "--format=%P %T %G").splitlines()
    assert sorted({row.split()[0] for row in rows}) == ["high", "main*", "short"]
    assert len(rows) == 6
    assert {row.split()[1] for row in rows} <= {"idle", "mixed", "allocated", "completing"}
    assert all(row.endswith("gpu:2") for row in rows)


def test_nothing_listens_beyond_the_hosts_own_address():
    """0.0.0.0 is written 00000000 in /proc/net/tcp; slurmctld, slurmdbd and the slurmds have four ports in a row."""
    first = int(setting("SlurmctldPort"))
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table.readlines()[1:]]
    listening = {int(row[1].split(":")[1], 16): row[1].split(":")[0] for row in rows if row[3] == "0A"}
    addresses = [listening.get(first + offset) for offset in range(4)]
    assert None not in addresses
    assert "00000000" not in addresses


def test_every_task_of_an_array_ends_and_the_accounting_says_how():
    job = sbatch("exit $SLURM_ARRAY_TASK_ID", "--array=0-2")
    assert wait_for_end(job, tasks=3) == {f"{job}_0": "COMPLETED", f"{job}_1": "FAILED", f"{job}_2": "FAILED"}


def test_an_array_has_at_most_21_indices():
    assert setting("MaxArraySize") == "21"
    with pytest.raises(AssertionError, match="Invalid job array"):
        sbatch("true", "--array=0-21")
    wait_for_end(sbatch("true", "--array=0-20"), tasks=21)


def test_gpus_reach_a_job(tmp_path):
    wait_for_end(sbatch("echo gpus $CUDA_VISIBLE_DEVICES", "--gres=gpu:2", "--output=out"))
    assert (tmp_path / "out").read_text() == "gpus 0,1\n"


def test_a_job_over_its_memory_is_killed():
    hog = f"{sys.executable} -c 'import time; b = b\"x\" * 2**28; time.sleep(30)'"
    job = sbatch(hog, "--mem=50M")
    expected = "OUT_OF_MEMORY" if "cgroup" in setting("ProctrackType") else "FAILED"
    assert wait_for_end(job) == {job: expected}


def test_a_requeued_job_starts_again(tmp_path):
    starts = tmp_path / "starts"
    script = f'echo ${{SLURM_RESTART_COUNT:-0}} >> {starts}; [ "$SLURM_RESTART_COUNT" = 1 ] || sleep 100'
    job = sbatch(script, "--requeue")
    wait_until(starts.exists, 30, "the job starts")
    call("scontrol", "requeue", job)
    # 10 to 14 s as measured, where SLURM's own default would be two minutes.
    assert wait_for_end(job, 60) == {job: "COMPLETED"}
    assert starts.read_text() == "0\n1\n"


def test_a_job_of_higher_priority_sends_another_back_after_its_signal(tmp_path, whole_cluster):
    log = tmp_path / "log"
    script = f"trap 'echo signal >> {log}' USR2; echo start >> {log}; [ \"$SLURM_RESTART_COUNT\" ] || "
    low = sbatch(script + "for _ in $(seq 300); do sleep 0.2; done", "--exclusive", "--nodes=2", "--signal=B:USR2@60")
    wait_until(log.exists, 30, "the job starts")
    high = sbatch("sleep 1", "--partition=high", "--exclusive", "--nodes=2")
    assert wait_for_end(high)[high] == "COMPLETED"
    assert wait_for_end(low)[low] == "COMPLETED"
    assert log.read_text().split() == ["start", "signal", "start"]


def test_a_partition_limits_time(test_key):
    job = sbatch("true", "--partition=short", "--time=11")
    assert squeue(test_key) == {job: "PENDING"}
    reason = ("squeue", "--noheader", f"--jobs={job}", "--format=%r")
    wait_until(lambda: call(*reason).strip() == "PartitionTimeLimit", 30, "the job waits for its time limit")


def test_jobs_carry_the_key_of_their_test(test_key):
    job = sbatch("sleep 100")
    assert list(squeue(test_key)) == [job]
    assert squeue("another") == {}
    assert os.environ["SBATCH_WCKEY"] == test_key
