"""The launcher's settings, and the file with what differs from cluster to cluster."""

import os
import subprocess
import sys

import pytest

from feature_lazy.launch.slurm import programs, site
from feature_lazy.launch.slurm.settings import Settings
from tests.conftest import ROOT

STOCK = {"submitit_folder": "x/%A", "name": "train", "tasks_per_node": 1, "nodes": 1}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tasks_per_node": 2}, "hydra.launcher.tasks_per_node=2: every task would train the same"),
        ({"nodes": 2}, "hydra.launcher.nodes=2"),
        ({"pack": 0}, "hydra.launcher.pack=0: it must be at least 1"),
        ({"side_by_side": 0}, "hydra.launcher.side_by_side=0"),
        ({"max_num_timeout": -1}, "hydra.launcher.max_num_timeout=-1: it must be at least 0"),
        ({"timeout_min": 2, "signal_delay_s": 120}, "a job of 2 minutes would be told to stop when it starts"),
        ({"site_problem": "The site file is odd."}, "The site file is odd."),
    ],
)
def test_settings_that_make_no_sense(values, words):
    with pytest.raises(programs.SlurmError, match=words.replace(".", r"\.")):
        Settings.of({**STOCK, **values})


def test_settings_are_kept_for_the_next_submission():
    settings = Settings.of({**STOCK, "pack": 3, "partition": "gpu", "_target_": "x", "mem_gb": 4})
    assert Settings.of(settings.plain()) == settings
    assert settings.for_submitit()["slurm_partition"] == "gpu"
    assert settings.for_submitit()["mem_gb"] == 4
    assert "slurm_pack" not in settings.for_submitit()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("all: {partition: [", "cannot be read"),
        ("- 1", "must have sections"),
        ("gpu: fast", "must have sections"),
        ("gpus: {partition: fast}", "has a section gpus"),
    ],
)
def test_site_file_that_cannot_be_used(tmp_path, monkeypatch, text, words):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    monkeypatch.setenv(site.SITE, str(path))
    assert words in site.site("gpu")["site_problem"]
    assert str(path) in site.site("gpu")["site_problem"]


def _launcher(*overrides, **environment):
    command = [sys.executable, "train.py", "--cfg", "hydra", "--package", "hydra.launcher", *overrides]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def test_site_file_wins_over_the_preset_and_the_command_line_over_both(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("all: {account: physics, timeout_min: 7}\ngpu: {partition: fast}\ncpu: {partition: slow}\n")
    shown = _launcher("hydra/launcher=slurm_gpu", "hydra.launcher.timeout_min=9", FEATURE_LAZY_SITE=str(path))
    assert "partition: fast" in shown
    assert "account: physics" in shown
    assert "timeout_min: 9" in shown
    assert "gpus_per_node: 1" in shown
    assert "timeout_min: 7" in _launcher("hydra/launcher=slurm_cpu", FEATURE_LAZY_SITE=str(path))
    path.write_text("all: {partitoin: fast}")
    assert "partitoin" in _launcher("hydra/launcher=slurm_cpu", FEATURE_LAZY_SITE=str(path))
    missing = _launcher("hydra/launcher=slurm_cpu", FEATURE_LAZY_SITE=str(tmp_path / "missing.yaml"))
    assert "missing.yaml, which is no file" in " ".join(missing.split())


def test_example_of_a_site_file_is_valid():
    shown = _launcher("hydra/launcher=slurm_gpu", FEATURE_LAZY_SITE=str(ROOT / "slurm" / "site.yaml.example"))
    assert "slurm/env.sh || exit 1" in shown
    assert "timeout_min: 240" in shown
