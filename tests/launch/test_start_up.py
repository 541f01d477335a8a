"""What a process does before it trains, counted: modules imported, configurations composed, files read. Not seconds."""

import gc
import json
import subprocess
import sys

import pytest

from feature_lazy.core.imports import lasting
from feature_lazy.launch.train import _may_ask_for_a_sweep
from feature_lazy.runs.plan import read_plans
from hydra_plugins.feature_lazy_plugins._checking import Checking
from hydra_plugins.feature_lazy_plugins._composer import Composer
from tests.conftest import QUICK, ROOT, TINY, composer

COUNTED = """
import gc, json, sys
from hydra._internal.config_loader_impl import ConfigLoaderImpl

made, whole = [], ConfigLoaderImpl.load_configuration
ConfigLoaderImpl.load_configuration = lambda *given, **named: made.append(1) or whole(*given, **named)

from feature_lazy.launch.train import main

try:
    main(sys.argv[1:])
finally:
    heavy = [name for name in ("torch", "scipy", "sklearn", "pandas", "matplotlib", "wandb") if name in sys.modules]
    print(json.dumps({"composed": len(made), "heavy": heavy, "passed over": gc.get_freeze_count()}))
"""
"""``train.py``, which says what it did."""


def counted(*arguments):
    """What a command did, in a process of its own."""
    command = [sys.executable, "-c", COUNTED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"said": done.stderr}


def test_a_run_is_composed_once_and_needs_no_scipy(tmp_path):
    """From the command line to the end of the training: SciPy takes half a second, a composition a quarter."""
    done = counted(*TINY, *QUICK, f"output_dir={tmp_path}")
    assert list(tmp_path.glob("runs/*/done"))
    assert (done["composed"], done["heavy"]) == (1, ["torch"])
    assert done["passed over"] > 100_000  # PyTorch alone has 160,000


def test_a_sweep_is_composed_twice_however_many_jobs_it_has(tmp_path):
    """Once as the command line has it for all jobs, once as their options have it; values are set one by one."""
    words = ("-m", "alpha.value=range(1,12)", "loss.beta=1,-1", f"output_dir={tmp_path}", "hydra.launcher.n_jobs=1")
    done = counted(*words)
    assert "loss.beta=-1.0: must be greater than 0" in done["said"]  # so that it ends here
    assert (done["composed"], done["heavy"]) == (2, [])


@pytest.mark.parametrize(
    ("folder", "copied"), [(".", 0), ("mine", 0), ("${hydra.job.num}", 0), ("${hydra.job.override_dirname}", 3)]
)
def test_a_cell_of_a_sweep_takes_no_copy_of_the_whole_configuration(tmp_path, monkeypatch, folder, copied):
    """A copy takes four times as long as all else: only a folder with a name made of the configuration needs one."""
    parent, made = Checking(), []
    parent.composer = composer(f"hydra.sweep.subdir={folder}")
    parent.launcher, parent.config = None, parent.composer.master
    monkeypatch.setattr(Composer, "composed", lambda *given, whole=Composer.composed: made.append(1) or whole(*given))
    parent.validate_batch_is_legal([[f"alpha.value={alpha}", f"output_dir={tmp_path}"] for alpha in (1, 2, 3)])
    assert len(made) == copied
    jobs, problems = read_plans(tmp_path)
    assert (len(jobs), problems) == (3, [])


OPTIONS = """
import json, sys
from omegaconf import OmegaConf
from feature_lazy.settings import registry, schema
from feature_lazy.settings.overrides import composed

read, load = [], OmegaConf.load
OmegaConf.load = staticmethod(lambda *given: read.append(1) or load(*given))

def work():
    read.clear(), schema._schema.cache_clear()
    composed(["loss=mse", "activation=tanh"])
    return {"files": len(read), "schemas": schema._schema.cache_info().misses}

before = work()
registry.discover(["planted"])
print(json.dumps([before, work(), len(registry.options("loss")), "torch" in sys.modules]))
"""
PLANTED = """
from feature_lazy.settings.groups import Loss
from feature_lazy.settings.registry import option

for i in range(100):
    option("loss", f"planted_{i}")(type(f"Planted{i}", (Loss,), {"__call__": lambda *_: 0, "__module__": __name__}))
"""


def test_what_is_composed_does_not_grow_with_the_number_of_options(tmp_path):
    (tmp_path / "planted.py").write_text(PLANTED)
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n{OPTIONS}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after, losses, torch = json.loads(done.stdout)
    assert before == after
    assert losses > 100
    assert not torch


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("alpha.value=2 loss=mse -m", False),
        ("--run dynamics=sgd", False),
        ("experiment=demo", True),
        ("+experiment=demo", True),
        ("-m hydra.launcher.n_jobs=2 hydra.sweeper.most=9", False),
        ("hydra.mode=MULTIRUN", True),
        ("hydra/launcher=slurm_cpu", True),
        ("-cn mine", True),
        ("--config-dir mine", True),
    ],
)
def test_a_sweep_is_asked_for_by_files_of_some_kinds_only(line, asks):
    assert _may_ask_for_a_sweep(line.split(), ROOT / "conf") is asks


def test_what_a_user_has_made_of_the_file_above_all_counts(tmp_path):
    top = (ROOT / "conf" / "train.yaml").read_text()
    for other in (f"{top}  mode: MULTIRUN\n", top.replace("experiment: null", "experiment: demo")):
        (tmp_path / "train.yaml").write_text(other)
        assert _may_ask_for_a_sweep([], tmp_path)


def test_the_collector_passes_over_what_lasts_once(monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(gc.isenabled()))
    monkeypatch.delitem(sys.modules, "heavy", raising=False)
    with pytest.raises(ImportError), lasting("heavy"):
        raise ImportError
    assert gc.isenabled()
    for _ in range(2):
        with lasting("heavy"):
            monkeypatch.setitem(sys.modules, "heavy", None)
    assert frozen == [False]
    assert gc.isenabled()
