"""Defaults fit what is said elsewhere, and are the same run as that number written; what was written is refused."""

import dataclasses

import pytest
from hydra import compose, initialize_config_dir

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import Config
from feature_lazy.settings.fitting import fitted
from feature_lazy.settings.overrides import composed
from feature_lazy.settings.schema import from_plain, to_config
from tests.conftest import ROOT

ALSO = "observe/also=[cka,features,spectrum]"


def value(config, path):
    for name in path.split("."):
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    return config


def run_ids(config):
    return [cell.run_id for cell in cells(config)]


FITTING = {
    "dataset.n_test=100": {"observe.kernel.probe": 100},
    f"dataset.n_test=100 {ALSO}": {f"observe.also.{name}.probe": 100 for name in ("cka", "features", "spectrum")},
    f"dataset.n_test=4 {ALSO}": {"observe.also.spectrum.probe": 4, "observe.also.spectrum.top": 4},
    "dataset.n_test=200": {"observe.kernel.probe": 128},
    # digits have 1740 patterns in ten balanced classes, of which 500 are trained on
    "dataset.n_train=1000": {"dataset.n_test": 740},
    "dataset.n_train=1700": {"dataset.n_test": 40, "observe.kernel.probe": 40},
    "dataset.classes=[0,1,2] labels=classes loss=mse dataset.n_train=300": {"dataset.n_test": 231},
    "dataset.classes=[0,1,2] labels=classes loss=mse dataset.n_test=30": {"dataset.n_train": 498},
    "dataset=spheres labels=regression loss=mse": {"dataset.n_train": 1000, "dataset.n_test": 2000},
}


@pytest.mark.parametrize("overrides", FITTING)
def test_a_default_fits_and_is_the_run_of_that_number(configure, overrides):
    config = configure(*overrides.split())
    validate(config)
    found = {path: value(config, path) for path in FITTING[overrides]}
    assert found == FITTING[overrides]
    written = configure(*overrides.split(), *(f"{path}={number}" for path, number in found.items()))
    assert run_ids(config) == run_ids(written)
    # A manifest has the numbers that were trained with.
    assert run_ids(from_plain(dataclasses.asdict(config))) == run_ids(config)


def test_a_default_that_fits_stays():
    config = Config()
    assert fitted(config) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        # The default itself, written, is no default.
        ("dataset.n_test=100 observe.kernel.probe=128", r"kernel\.probe=128: must be at most dataset.n_test=100"),
        ("dataset.n_test=100 observe.kernel.probe=101", r"kernel\.probe=101: must be at most dataset.n_test=100"),
        ("observe.kernel.eigenvalues=129", r"kernel\.eigenvalues=129: must be at most observe.kernel.probe=128"),
        (f"dataset.n_test=8 {ALSO} observe.also.cka.probe=128", r"cka\.probe=128: must be at most dataset.n_test=8"),
        (f"{ALSO} observe.also.spectrum.top=200", r"spectrum\.top=200: must be at most observe\.also\.spectrum\.probe"),
        ("dataset.n_train=1000 dataset.n_test=1000", "digits has 1740 patterns in balanced classes"),
        ("dataset.n_train=1740", "digits has 1740 patterns"),  # no room for a test set at all
        ("dataset.classes=[0,1,2] labels=classes loss=mse dataset.n_train=500", "must be a multiple of 3"),
        ("dataset.classes=[3,3]", "each class may be named once"),
        ("dataset.classes=[99,3]", "digits has the classes"),
    ],
)
def test_what_a_person_wrote_is_refused(configure, overrides, message):
    for make in (configure, lambda *overrides: composed(overrides)):
        with pytest.raises(ConfigError, match=message):
            validate(make(*overrides.split()))


def test_what_is_composed_without_its_overrides_goes_by_the_value():
    """An experiment's file has no overrides: there a number equal to the default counts as one."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", ["dataset.n_test=100", "observe.kernel.probe=128"])
    assert to_config(cfg).observe.kernel.probe == 100
