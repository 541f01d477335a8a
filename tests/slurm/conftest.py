"""Tests that need a SLURM cluster: ``make test-slurm`` starts one (slurm/testbed); without it they are skipped."""

import fcntl
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.slurm.cluster import KEY, absent, cancel_all

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Whatever lies in this folder carries the marker."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("slurm")


@pytest.fixture(scope="session")
def cluster():
    """The folder of the cluster; skips where none answers, and fails if ``make test-slurm`` promised one."""
    reason = absent() if "SLURM_CONF" in os.environ else "SLURM_CONF is not set: make test-slurm starts a cluster"
    if reason and os.environ.get("SLURM_TESTBED_REQUIRED"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURE_LAZY_SITE", str(HERE / "site.yaml"))
        yield Path(os.environ["SLURM_CONF"]).parent


@pytest.fixture
def whole_cluster():
    """Ask for it where no other test may have jobs meanwhile: preemption, full nodes, nodes that are down."""


@pytest.fixture(autouse=True)
def test_key(cluster, request, monkeypatch, tmp_path):
    """Each test works in a folder of its own, under a key of its own; its jobs are cancelled at its end."""
    key = f"test_{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv(KEY, key)
    monkeypatch.setenv("SLURM_WCKEY", key)
    monkeypatch.chdir(tmp_path)
    with (cluster / "turn").open("w") as turn:
        alone = "whole_cluster" in request.fixturenames
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield key
        cancel_all(key)


@pytest.fixture
def cli():
    """Call ``feature-lazy`` in a process of its own."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "import sys, feature_lazy.launch.commands as c; sys.exit(c.main())"]
        return subprocess.run(
            [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )

    return call


@pytest.fixture
def start_train_py(test_key):
    """Start ``python train.py`` and go on; ``train_py`` is the one that waits. What still runs at the end is killed."""
    started = []

    def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "train.py", *arguments, f"output_dir={folder}", "threads=1"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C is ignored in what a script starts in the background, and that would be inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
