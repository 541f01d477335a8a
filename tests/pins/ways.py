"""The ways into the project that pins take, all in this module: when modules move, this is the file to mend."""

import sys
from contextlib import contextmanager

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from feature_lazy.runs.job import train_config
from feature_lazy.runs.plan import read_plans, write_plan
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.store import Store
from feature_lazy.runs.store.checkpoint import write as write_checkpoint
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.help import keys as documented_keys
from feature_lazy.settings.schema import from_plain, to_config
from tests.conftest import ROOT, composer

DATA = ROOT / "tests" / "data" / "pins"

__all__ = [
    "Store",
    "documented_keys",
    "load_run",
    "read_plans",
    "train_config",
    "validate",
    "write_checkpoint",
    "write_plan",
]


@contextmanager
def own_code(folder):
    """Put the code of a user's own, ``pinned_code``, on Python's path for a while."""
    (folder / "pinned_code.py").write_bytes((DATA / "pinned_code.txt").read_bytes())
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("pinned_code", None)


class Jobs:
    """The configurations of command lines, composed as the sweeper does."""

    def __init__(self, *overrides):
        """Compose on top of what a command line has for all of them."""
        self.composer = composer(*overrides)
        self.master = self.composer.master

    def of(self, overrides):
        """One configuration for each combination of the values that are given."""
        if not overrides:
            return [self.composer.typed([])]
        [batch] = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(list(overrides)), None)
        return [self.composer.typed(job) for job in batch]

    def quickly(self, overrides):
        """The only one; Hydra composes the choice of options, once, and values are set in that."""
        choices = [one for one in overrides if (ROOT / "conf" / one.partition("=")[0]).is_dir()]
        config = self.composer.composed(choices)
        for value in OverridesParser.create().parse_overrides([one for one in overrides if one not in choices]):
            OmegaConf.update(config, value.key_or_group, value.value())
        return to_config(config)

    def of_sweep(self):
        """Those of the sweep that the master's own experiment describes."""
        params = self.master.hydra.sweeper.get("params") or {}
        return self.of([*self.master.hydra.overrides.task, *(f"{key}={values}" for key, values in params.items())])


def composed(overrides):
    """The configuration of one job."""
    [config] = Jobs().of(overrides)
    return config


def identity(config):
    """Run ids, keys that are free of the version, and columns of the cells of a job."""
    found = cells(config)
    return {
        "run_ids": [cell.run_id for cell in found],
        "science_keys": [cell.identity["key"] for cell in found],
        "columns": [cell.columns for cell in found],
    }


def run_ids(config):
    """Run ids of the cells of a job."""
    return [cell.run_id for cell in cells(config)]


def planned(root):
    """The ids that were written down, and those of today, of all jobs that were asked for in a results folder."""
    jobs, problems = read_plans(root)
    assert problems == []
    return [([run.run_id for run in job.runs], run_ids(from_plain(job.config))) for job in jobs]


def trained(config):
    """Train a job, and load its runs in order."""
    train_config(config)
    return [load_run(Store(config.output_dir).path(run_id)) for run_id in run_ids(config)]
