"""Jobs of a sweep composed by setting values, as Hydra composes them one by one."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from feature_lazy.schema import to_config
from hydra_plugins.feature_lazy_plugins.composer import Composer
from tests.conftest import ROOT

CUSTOM = ("architecture=custom", "architecture.target=tests.toys.Flow")
SWEEPS = {
    "values": ["alpha.value=1", "alpha.value=1e-3", "alpha.value=1 width.h=7", "loss=mse alpha.value=2"],
    "keys of a dictionary": ["architecture.kwargs.width=3", "architecture.kwargs.width=5"],
    "dictionaries": ["architecture.kwargs={a:1}", "architecture.kwargs={b:{c:2}}", "architecture.kwargs={b:{d:3}}"],
    "dictionaries in a list": ["architecture.kwargs.parts=[{a:1}]", "architecture.kwargs.parts=[{b:2}]"],
    "references": ["architecture.kwargs.h=${width.h} width.h=3", "architecture.kwargs.h=${width.h} width.h=4"],
}


@pytest.mark.parametrize("jobs", SWEEPS.values(), ids=SWEEPS)
def test_every_job_is_what_hydra_makes_of_it(jobs):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        master = compose("train", return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        composer = Composer(loader, master)
        for job in jobs * 2:
            overrides = [*CUSTOM, *job.split()]
            expected = to_config(loader.load_sweep_config(master, overrides))
            assert composer.typed(overrides) == expected
            assert to_config(composer.composed(overrides)) == expected
