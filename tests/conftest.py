"""What the tests share: one thread, composed configurations, and ``python train.py`` as a user calls it."""

import copy
import logging
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import settings

from feature_lazy.runs.store import Store
from feature_lazy.settings.config import ALSO, Config
from feature_lazy.settings.registry import options
from feature_lazy.settings.schema import GROUPS, register
from hydra_plugins.feature_lazy_plugins._composer import Composer

pytest_plugins = ["tests.wheels"]  # its fixtures, for whoever asks
ROOT = Path(__file__).parents[1]
TINY = (
    "dataset.n_train=20",
    "dataset.n_test=20",
    "architecture.depth=2",
    "width.h=8",
    "observe.kernel.probe=10",
    "observe.per_decade=2",
)
"""A job that trains in about a second."""
QUICK = ("alpha.value=10", "dynamics.stepper=article", "dynamics.eps_gradient=1e-2")
"""With large steps in a tenth of that: for all that does not depend on how well the flow is followed."""

LONG = [
    "runs/test_kills",
    "launch/test_strangers",
    "systems/test_smallest",
    "pins/test_ids",
    "study/test_analysis",
    "systems/test_more_is_better",
    "runs/test_stopping",
    "launch/test_notebooks",
    "launch/test_slurm_task",
    "runs/test_sharing",
    "test_benchmarks",
    "launch/test_cli",
    "runs/test_series",
    "systems/test_table",
    "measure/test_trajectory",
    "runs/test_together",
    "test_extend",
    "study/test_article",
    "dynamics/test_flow",
    "runs/test_changed",
    "launch/test_wheel",
    "runs/test_own_observables",
    "test_readme",
    "runs/test_two_hosts",
    "settings/test_outside",
    "launch/test_boundary_sweeper",
    "dynamics/test_regularisers",
    "launch/test_entrance",
    "runs/test_measuring",
    "runs/test_run",
    "study/test_report_browser",
    "runs/test_wandb_online",
    "dynamics/test_oracles",
]
"""Modules of which the tests take 45 s or more, longest first. A module stays with one worker: what is left
for the end has to be short, or the others wait for it."""

# Bit for bit comparisons need one order of summation, and two test processes share two cores.
torch.set_num_threads(1)
# The same examples every time, no files left behind, and no deadline on a machine that may be busy.
settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.load_profile("suite")
register()


def composer(*overrides: str) -> Composer:
    """What composes jobs on top of what a command line has for all of them; Hydra is asked once for each choice."""
    return _composer(overrides, frozenset(made for group in (*GROUPS, ALSO) for made in options(group).values()))


def pytest_collection_modifyitems(items):
    """Long modules come first, and else the order is that of the files."""
    places = {ROOT / "tests" / f"{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@lru_cache(maxsize=8)
def _composer(overrides: tuple[str, ...], known: frozenset[type]) -> Composer:
    """For the options that are known: those from outside come and go from test to test."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        return Composer(loader, loader.load_configuration("train", list(overrides), RunMode.MULTIRUN))


def composed(*overrides: str) -> Config:
    """Compose a configuration in this process, as ``train.py`` does from its command line."""
    return copy.deepcopy(composer().typed(overrides))


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """What a command sets up for its process ends with the test: its handlers write to a terminal that is gone."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)


@pytest.fixture
def configure():
    """See ``composed``."""
    return composed


@pytest.fixture
def tiny(configure, tmp_path):
    """Compose a tiny job that stores under ``tmp_path / "results"``."""

    def tiny_job(*overrides: str) -> Config:
        return configure(*TINY, f"output_dir={tmp_path / 'results'}", *overrides)

    return tiny_job


@pytest.fixture(scope="session")
def train_py():
    """Call ``python train.py`` in a process of its own, with its results in a folder."""

    def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Flags first: Hydra's parser takes no overrides before ``-m``.
        command = [sys.executable, "train.py", *arguments, f"output_dir={folder}", "threads=1"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)

    return call


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def small_pictures(monkeypatch):
    """Pictures of few dots: those of their size take most of the time of figures and reports."""
    from feature_lazy.study.figures.style import PANELS, STYLE

    for style in (PANELS, STYLE):
        monkeypatch.setitem(style, "savefig.dpi", 40)
