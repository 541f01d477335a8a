"""Ten thousand finished runs: what a person waits for takes seconds."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time

import pytest

from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.reading import DONE, HISTORY, MANIFEST, OUTPUTS, checksum
from feature_lazy.runs.survey import State, survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.scales import SingleSeed
from tests.conftest import QUICK, ROOT, TINY, composed

RUNS = 10_000
JOB = (*TINY, *QUICK, "observe.kernel.probe=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One run that was trained, and copies of it under every other seed."""
    root = tmp_path_factory.mktemp("many")
    config = composed(*JOB, f"output_dir={root}")
    [first] = run(build(config))
    configs = [dataclasses.replace(config, seed=SingleSeed(value=seed)) for seed in range(RUNS)]
    for other in configs[1:]:
        [cell] = cells(other)
        path = root / "runs" / cell.run_id
        path.mkdir()
        for name in (HISTORY, OUTPUTS):
            os.link(first.path / name, path / name)
        manifest = {**first.manifest, "run_id": cell.run_id, **cell.description}
        text = json.dumps({**manifest, "sha256": checksum(manifest)}).encode()
        (path / MANIFEST).write_bytes(text)
        (path / DONE).write_bytes(hashlib.sha256(text).hexdigest().encode())
    write_plan(root, configs)
    return root


def seconds(call, clock=time.monotonic):
    began = clock()
    result = call()
    return result, clock() - began


@pytest.mark.slow
def test_status_and_table(folder):
    """Bounds: 5 and 10 s. Measured on two quiet cores: about 2 s each. CPU time: other tests run beside it."""
    found, took = seconds(lambda: survey(folder), time.process_time)
    assert len(found.having(State.DONE)) == RUNS
    assert took < 5
    table, took = seconds(lambda: load_sweep(folder).table, time.process_time)
    assert sorted(table["seed"]) == list(range(RUNS))
    assert took < 10


@pytest.mark.slow
def test_a_repeated_sweep_skips_them_all(folder):
    """Bound: 30 s, with every file checked against its checksum."""
    command = [sys.executable, "train.py", "-m", *JOB, f"seed.value=range(0,{RUNS})", f"output_dir={folder}"]
    process, took = seconds(lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300))
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"{RUNS} runs in {RUNS} jobs, {RUNS} runs already done" in process.stdout
    assert took < 30
