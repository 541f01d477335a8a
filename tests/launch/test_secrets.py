"""Canaries in the environment, which a user's network tells in an error: in no file, pickle, log or terminal."""

import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from feature_lazy.launch.slurm.task import Task
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK, ROOT, TINY
from tests.core.test_redaction import CANARY, KEY, NAMES, remains

NET = """
import base64, json, os
from urllib.parse import quote, quote_plus
from torch import nn

class Net(nn.Module):
    def __init__(self, *shape, **options):
        super().__init__()
        self.inner = nn.Linear(10, 1)

    def forward(self, x):
        key = os.environ["DEPLOY_PRIVATE_KEY"]
        print("a user's own words")
        told = [key, json.dumps({"auth": key})]
        for name in NAMES:
            secret = os.environ[name]
            told += [secret, repr(secret), json.dumps(secret), quote(secret), quote_plus(secret),
                     base64.b64encode(secret.encode()).decode()]
        try:
            json.loads(secret)
        except ValueError as error:
            raise LookupError(f"login failed: {told} " + "\\n".join(told)) from error
"""
JOB = (*TINY, *QUICK, "architecture=custom", "architecture.target=leaky_network.Net")


@pytest.fixture
def leaky(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "leaky_network.py").write_text(f"NAMES = {NAMES}\n{NET}")
    for name in NAMES:
        monkeypatch.setenv(name, CANARY + name.lower())
    monkeypatch.setenv("DEPLOY_PRIVATE_KEY", KEY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "own"))
    monkeypatch.syspath_prepend(tmp_path / "own")


def told(folder):
    """Files that hold a secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if remains(path.read_bytes().decode("latin-1"))]


def drop(words):
    """Overrides that a network of one's own does not have."""
    return [word for word in words if not word.startswith(("architecture.depth", "width.h"))]


@pytest.mark.parametrize("how", [[], ["-m", "seed.value=0,1"]], ids=["one", "sweep"])
def test_no_training_tells_a_secret(leaky, tmp_path, how):
    results = tmp_path / "results"
    command = [sys.executable, "train.py", *how[:1], *drop(JOB), *how[1:], f"output_dir={results}", "threads=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert not remains(done.stdout + done.stderr)
    assert list(results.glob("runs/*/error.txt"))
    assert "login failed" in "".join(path.read_text() for path in results.glob("runs/*/error.txt"))
    assert told(results) == []
    retry = "import sys; from feature_lazy.launch.commands import main; sys.exit(main())"
    for words in (["status"], ["retry", "--n-jobs", "1"]) if not how else ():
        command = [sys.executable, "-c", retry, words[0], str(results), *words[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert "login failed" in done.stdout + done.stderr
        assert not remains(done.stdout + done.stderr)


def test_no_log_or_pickle_of_submitit_has_one(leaky, configure, tmp_path):
    submitit = pytest.importorskip("submitit")
    config = configure(*drop(JOB), f"output_dir={tmp_path / 'results'}")
    ids = tuple(cell.run_id for cell in cells(config))
    task = Task([asdict(config)], [ids], 1, 60, 2, 2, str(tmp_path / "progress.json"))
    executor = submitit.AutoExecutor(folder=tmp_path / "slurm", cluster="local")
    executor.update_parameters(timeout_min=5)
    job = executor.submit(task)
    assert "login failed" in str(job.exception())
    assert {path.suffix for path in (tmp_path / "slurm").iterdir()} >= {".err", ".pkl"}
    assert told(tmp_path / "slurm") == told(tmp_path / "results") == []
    assert CANARY in os.environ["GH_PAT"]
