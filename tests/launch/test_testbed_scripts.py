"""The scripts of the SLURM testbed refuse in one sentence, before they start anything."""

import os
import socket
import subprocess

import pytest

from tests.conftest import ROOT

TESTBED = ROOT / "slurm" / "testbed"
COMMANDS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "sbatch", "sacct")
"""What up.sh looks for; it starts none of them in these tests."""


@pytest.fixture
def up(tmp_path):
    """Run up.sh with a folder and a port, where every command of SLURM is one that fails."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in (*COMMANDS, "scontrol", "sinfo", "hostname"):
        script = "echo localhost" if name == "hostname" else "exit 1"
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)

    def call(folder, port) -> subprocess.CompletedProcess[str]:
        settings = {"SLURM_TESTBED_DIR": str(folder), "SLURM_TESTBED_PORT": str(port)}
        environment = {**os.environ, **settings, "PATH": f"{commands}:{os.environ['PATH']}"}
        command = [str(TESTBED / "up.sh")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return call


@pytest.mark.parametrize("script", sorted(TESTBED.glob("*.sh")), ids=lambda path: path.name)
def test_script_is_valid_shell(script):
    assert subprocess.run(["bash", "-n", script], capture_output=True).stderr == b""


@pytest.mark.parametrize("offset", [0, 3])
def test_port_in_use_is_named(up, tmp_path, offset):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = up(tmp_path / "run", port - offset)
    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr
    assert "SLURM_TESTBED_PORT" in done.stderr
    assert not any((tmp_path / "run").iterdir())


def test_folder_with_other_files_is_left_alone(up, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    done = up(tmp_path, 16817)
    assert done.returncode == 1
    assert "holds other files" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "three years"


def test_start_that_fails_half_way_leaves_nothing_running(up, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = up(tmp_path / "run", port)
    assert done.returncode == 1
    assert "not started" in done.stderr
    assert done.stdout == ""


def test_nothing_to_end_is_no_failure(tmp_path):
    environment = {**os.environ, "SLURM_TESTBED_DIR": str(tmp_path)}
    assert subprocess.run([TESTBED / "down.sh"], env=environment, timeout=60).returncode == 0
