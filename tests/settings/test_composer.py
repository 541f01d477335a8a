"""Jobs that differ in values are composed once; what comes of it is what Hydra composes."""

import copy

import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.schema import to_config
from hydra_plugins.feature_lazy_plugins._composer import Composer
from tests.conftest import ROOT

CUSTOM = ("architecture=custom", "architecture.target=tests.arrays.normal")
JOBS = [
    ("alpha.value=1", "width.h=3"),
    ("alpha.value=2e0", "width.h=3"),
    ("alpha.value=2", "width.h=4", "seed=ensemble"),
    ("alpha.value=3", "seed=ensemble", "seed.members=7"),
    ("alpha=raw", "alpha.value=5"),
    ("alpha.value=1", "loss=mse", "loss.target=1.1"),
    ("observe.kernel.probe=7", "dtype=float32", "alpha.value=1"),
    ("observe.times=[1,2]", "observe=times"),
    ("observe.times=[3.5]", "observe=times"),
    ("output_dir=some/where", "memory_limit=2GiB"),
    ("dataset.n_test=${dataset.n_train}", "dataset.n_train=40"),
    ("dataset.n_train=60", "dataset.n_test=${dataset.n_train}"),
    ("alpha.value=1", "width.h=3"),
    # What fits the one is not left to the next.
    ("dataset.n_test=100",),
    ("dataset.n_test=1000",),
    ("dataset.n_test=50",),
    ("dataset.n_test=200", "observe.kernel.probe=128"),
    (*CUSTOM, "architecture.kwargs.width=3"),
    (*CUSTOM, "architecture.kwargs.width=5"),
    (*CUSTOM, "architecture.kwargs.width=1"),
    (*CUSTOM, "architecture.kwargs.width=1.0"),
    (*CUSTOM, "architecture.kwargs.width=true"),
    # Hydra merges dictionaries into what is there: nothing of an earlier job may be.
    (*CUSTOM, "architecture.kwargs={a:1}"),
    (*CUSTOM, "architecture.kwargs={b:{c:2}}"),
    (*CUSTOM, "architecture.kwargs={b:{d:3}}"),
    (*CUSTOM, "architecture.kwargs.parts=[{a:1}]"),
    (*CUSTOM, "architecture.kwargs.parts=[{b:2}]"),
    (*CUSTOM, "architecture.kwargs.h=${width.h}", "width.h=3"),
    (*CUSTOM, "architecture.kwargs.h=${width.h}", "width.h=4"),
]


@pytest.fixture
def loader():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def master(loader):
    return loader.load_configuration("train", ["width.h=9"], RunMode.MULTIRUN)


def test_jobs_are_as_hydra_composes_them(loader, master):
    composer = Composer(loader, master)
    for job in JOBS:
        plain = loader.load_sweep_config(master, list(job))
        assert repr(composer.typed(job)) == repr(to_config(plain, job))  # tells 1 from 1.0 and True
        composed = composer.composed(job)
        assert {key: composed[key] for key in composed if key != "hydra"} == {
            k: plain[k] for k in plain if k != "hydra"
        }
        assert list(composed.hydra.overrides.task) == list(plain.hydra.overrides.task)
        assert composed.hydra.job.override_dirname == plain.hydra.job.override_dirname


def test_jobs_that_differ_in_values_are_composed_once(loader, master, monkeypatch):
    calls = []
    plain = loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda *a: calls.append(a) or plain(*a))
    composer = Composer(loader, master)
    found = [composer.typed((f"alpha.value={x}", f"width.h={h}")) for x in range(1, 30) for h in (2, 3)]
    assert composer.typed(("dtype=float32",)).dtype == "float32"  # nor those that set others
    assert len(calls) == 1
    assert [(c.alpha.value, c.width.h) for c in found] == [(x, h) for x in range(1, 30) for h in (2, 3)]
    assert {type(c.alpha.value) for c in found} == {float}


def test_a_wrong_type_is_refused_in_every_job(loader, master):
    composer = Composer(loader, master)
    composer.typed(("width.h=3",))
    with pytest.raises(ConfigError, match=r"width\.h=wide: Value 'wide'"):
        composer.typed(("width.h=wide",))
    assert composer.typed(("width.h=4",)).width.h == 4


def test_hydra_copies_its_sources_and_not_all_schemas(loader):
    """It does so for each composition and for each list of a group: what it costs does not grow with the options."""
    sources = copy.deepcopy(loader.repository).get_sources()
    stores = [source.store for source in sources if source.scheme() == "structured"]
    assert stores
    assert all(store is ConfigStore.instance() for store in stores)
