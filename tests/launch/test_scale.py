"""Many finished runs: what a person waits for costs each of them the same few calls and files."""

import dataclasses
import hashlib
import json
import os
from collections import Counter

import pytest
from hydra.core.utils import JobStatus

from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.reading import DONE, HISTORY, MANIFEST, OUTPUTS, checksum
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.scales import SingleSeed
from hydra_plugins.feature_lazy_plugins._composer import Composer
from hydra_plugins.feature_lazy_plugins._jobs import SweepJob
from tests.conftest import QUICK, TINY, composed, composer
from tests.work import calls, opened

FEW, MANY = 40, 80
JOB = (*TINY, *QUICK, "observe.kernel.probe=0")
LINEAR = 1.1
"""How far beyond twice the calls twice the runs may take: what is done once is less than that."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A few and twice as many runs: one that was trained, and copies of it under every other seed."""
    return [filled(tmp_path_factory.mktemp("many"), runs) for runs in (FEW, MANY)]


def filled(root, runs):
    config = composed(*JOB, f"output_dir={root}")
    [first] = run(build(config))
    configs = [dataclasses.replace(config, seed=SingleSeed(value=seed)) for seed in range(runs)]
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


def calls_twice(work, folders):
    """Calls for twice the runs over those for the runs; a third time, since the first one imports and fills caches."""
    work(folders[0])
    few, many = (calls(lambda folder=folder: work(folder)) for folder in folders)
    return many / few


def test_status_and_table(folders):
    """Twice the runs, twice the work; of each run the files that are needed, once."""
    found = survey(folders[1])
    assert len(found.having(RunState.DONE)) == MANY
    assert calls_twice(survey, folders) < 2 * LINEAR
    assert calls_twice(lambda folder: load_sweep(folder).table, folders) < 2 * LINEAR
    assert sorted(load_sweep(folders[1]).table["seed"]) == list(range(MANY))
    for work in (survey, lambda folder: load_sweep(folder).table):
        files = Counter(
            path
            for path in opened(lambda work=work: work(folders[1]))
            if f"{folders[1]}/runs/" in path and "/.probe" not in path
        )
        assert {path.rpartition("/")[2] for path in files} <= {MANIFEST, DONE}
        assert set(files.values()) == {1}


def test_a_repeated_sweep_skips_them_all(folders, train_py):
    """Every file is checked against its checksum, and read once for it."""
    done = train_py(folders[1], "-m", *JOB, f"seed.value=range(0,{MANY})")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{MANY} runs in {MANY} jobs, {MANY} runs already done" in done.stdout
    assert calls_twice(settled, folders) < 2 * LINEAR
    files = Counter(path for path in opened(lambda: settled(folders[1])) if "/runs/" in path)
    assert {path.rpartition("/")[2] for path in files} == {MANIFEST, DONE, HISTORY, OUTPUTS}
    assert max(files.values()) <= 2  # ``done`` says that there is a run to load


def settled(folder):
    """What the launcher does for each job before any is trained."""
    runs = len(list((folder / "runs").iterdir()))
    sets = [[*JOB, f"output_dir={folder}", f"seed.value={seed}"] for seed in range(runs)]
    new = Composer(composer().loader, composer().master)
    jobs = [SweepJob(number, overrides, new) for number, overrides in enumerate(sets)]
    assert {job.settle().status for job in jobs} == {JobStatus.COMPLETED}
