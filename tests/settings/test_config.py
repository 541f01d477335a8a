"""YAML, typed schema and validation say the same thing; wrong values are refused in one clear sentence."""

import dataclasses
import re
import shlex
import subprocess
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import parse_bytes
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.flows import FrozenKernelOption, GradientFlowOption
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.optimisers import Sgd
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.settings.checks import validate
from feature_lazy.settings.conf_files import contents, differing
from feature_lazy.settings.config import Config
from feature_lazy.settings.help import help_text, keys, reference
from feature_lazy.settings.overrides import check_chosen, check_overrides
from feature_lazy.settings.registry import options, presets
from feature_lazy.settings.schema import GROUPS, members
from tests.conftest import ROOT

OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
# Options that are meant to differ from the defaults of their dataclass.
DELIBERATE = {
    ("alpha", "raw"): {"value": 0.1},
    ("dynamics", "adamw"): {"weight_decay": 0.01},
}
every_option = pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{g}={o}" for g, o in OPTIONS])


@every_option
def test_yaml_holds_the_defaults_of_its_dataclass(configure, group, option):
    found = getattr(configure(f"{group}={option}"), group)
    values = dataclasses.asdict(found)
    expected = {**dataclasses.asdict(type(found)()), "kind": values["kind"], **DELIBERATE.get((group, option), {})}
    assert values == expected


# Options that are another one with a value set.
PRESETS = {"linearised", "adamw"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_member_of_a_family_has_an_option(group):
    if len(members(group)) > 1:
        options = {option for g, option in OPTIONS if g == group} - PRESETS
        assert {member().kind for member in members(group)} == options


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_composes_and_every_value_of_its_sweep_is_valid(configure, experiment):
    validate(configure(f"experiment={experiment}"))
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        hydra = compose("train", [f"experiment={experiment}"], return_hydra_config=True).hydra
    for key, values in (hydra.sweeper.params or {}).items():
        for value in str(values).split(","):
            validate(configure(f"experiment={experiment}", f"{key}={value.strip()}"))


def test_every_key_says_what_it_means():
    rows = list(keys())
    assert ("loss=mse", "target", "1.0") in [(row.title, row.key, row.default) for row in rows]
    assert ("observe=log", "kernel.probe", "128") in [(row.title, row.key, row.default) for row in rows]
    assert all(row.meaning for row in rows)


def test_files_of_options_are_those_of_the_registry():
    """``make conf`` writes them; nobody else does."""
    wanted = dict(contents())
    assert len(wanted) > 50
    assert differing(ROOT / "conf", wanted) == []


def test_reference_of_keys_is_that_of_the_registry():
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == reference()


def test_defaults_of_a_job_are_those_of_the_groups():
    """``conf/train.yaml`` is written by hand, for its defaults are Hydra's own list."""
    defaults = OmegaConf.load(ROOT / "conf" / "train.yaml").defaults
    chosen = {str(key): value for entry in defaults if OmegaConf.is_dict(entry) for key, value in entry.items()}
    wanted = {f.name: f.metadata["default"] for f in dataclasses.fields(Config) if "group" in f.metadata}
    assert {group: chosen.get(group) for group in wanted} == wanted


def test_help_names_every_group_option_and_key():
    text = help_text()
    assert max(map(len, text.splitlines())) <= 80
    for group in GROUPS:
        assert group in text
        for name in [*options(group), *presets(group)]:
            assert re.search(rf"\b{name}\b", text), name
            about = help_text([f"{group}={name}"])
            assert max(map(len, about.splitlines())) <= 80
    for row in keys():
        where = f"{row.group}={row.option}" if row.group else row.key
        assert f"{row.key}=" in help_text([where]), row
    with pytest.raises(ConfigError, match="--help lsos: neither a group"):
        help_text(["lsos"])


REFUSED = {
    # Range of one value.
    "width.h=0": "width.h=0: must be at least 1.",
    "alpha.value=-1": "alpha.value=-1.0: must be greater than 0.",
    "alpha.value=0": "alpha.value=0.0: must be greater than 0.",
    "alpha.value=nan": "alpha.value=nan: must be a finite number.",
    "alpha.value=inf": "alpha.value=inf: must be a finite number.",
    "seed.value=-1": "seed.value=-1: must be at least 0.",
    "seed=ensemble seed.members=0": "seed.members=0: must be at least 1.",
    "observe.times=[1,-1]": "observe.times=-1.0: must be greater than 0.",
    "dtype=float16": "dtype=float16: must be one of float64, float32.",
    "dataset.kind=imagenet": "dataset.kind=imagenet: must be digits; choose the option itself on the command line.",
    "alpha.kind=raw": "alpha.kind=raw: must be rescaled; choose the option itself on the command line.",
    # Rules that join values.
    "dataset.n_train=21": "dataset.n_train=21: must be even, so that the labels are balanced.",
    "dataset.n_train=100000": "dataset.n_train=100000 and dataset.n_test=1000: digits has 1740 patterns in balanced "
    "classes; ask for at most as many in total.",
    "observe.kernel.probe=1002": "observe.kernel.probe=1002: must be at most dataset.n_test=1000.",
    "observe=times": "observe.times=[]: observe=times needs a list, such as observe.times=[0.1,1,10].",
    "width=geometric width.growth=0.01": "width.growth=0.01: the last layer's width 0.01 rounds to 0.",
    "architecture=cnn dataset=mnist5k width=geometric width.h=3 width.growth=0.1": "width.growth=0.1: the last layer's "
    "width 0.3 rounds to 0.",
    "architecture=cnn": "architecture=cnn with dataset=digits: images of 8 × 8 pixels have nothing left for "
    "convolution 3 of 4: use fewer blocks, smaller windows or larger images.",
    "architecture=wide_resnet architecture.depth=12": "architecture.depth=12: a wide ResNet has 6n + 4 = 10, 16, 22, "
    "28, … convolutions.",
    "architecture=wide_resnet width=geometric": "width=geometric: architecture=wide_resnet has one width; use "
    "width=uniform.",
    "architecture=custom": "architecture.target: a target of your own is needed, such as "
    "architecture.target=mypackage.Name.",
    "dataset=custom": "dataset.target: a target of your own is needed, such as dataset.target=mypackage.Name.",
    "architecture=custom architecture.target=nowhere.Net": "architecture.target=nowhere.Net: there is no module "
    "'nowhere' on Python's path: write package.module.Name, and set PYTHONPATH to the folder that holds the package.",
    "architecture=custom architecture.target=tests.arrays": "architecture.target=tests.arrays: "
    "'tests.arrays' is a module; "
    "name what it holds, such as tests.arrays.Net.",
    "architecture=custom architecture.target=tests.arrays.Net": "architecture.target=tests.arrays.Net: "
    "module 'tests.arrays' "
    "(arrays.py) has no 'Net'.",
    "architecture=custom architecture.target=math.sin": "architecture.target=math.sin: module 'math' has no source in "
    "Python: a target must be written in it.",
    "architecture=custom architecture.target=tests.arrays.normal parametrisation=mup": "parametrisation=mup: "
    "architecture=custom scales its own weights; leave parametrisation out, which changes nothing.",
    "device=gpu": "device=gpu: must be cpu, cuda or cuda:N.",
    "memory_limit=3parsecs": "memory_limit=3parsecs: must be a positive size such as 500MB or 2GiB.",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_wrong_value_is_refused(configure, overrides):
    with pytest.raises(ConfigError) as refusal:
        validate(configure(*overrides.split()))
    assert str(refusal.value) == REFUSED[overrides]


def test_all_problems_are_named_at_once(configure):
    with pytest.raises(ConfigError) as refusal:
        validate(configure("width.h=0", "alpha.value=-1", "observe.kernel.probe=-1"))
    keys = [line.split("=")[0] for line in str(refusal.value).splitlines()]
    assert keys == ["alpha.value", "width.h", "observe.kernel.probe"]


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        ("loss.beta=x", ["loss.beta", "'x'", "Float"]),
        ("width.h=2.5", ["width.h", "'2.5'", "Integer"]),
        ("width.h=null", ["width.h", "not Optional"]),
        ("observe.times=3", ["observe.times", "int", "list"]),
        ("dataset=imagenet", ["dataset/imagenet", "digits", "mnist5k"]),
        ("seed.members=3", ["seed.members", "'members'", "'SingleSeed'"]),
    ],
)
def test_wrong_type_or_option_is_refused(configure, override, fragments):
    with pytest.raises((HydraException, ConfigError)) as refusal:
        configure(override)
    message = f"{refusal.value}\n{refusal.value.__cause__}"  # Hydra prints both
    assert all(fragment in message for fragment in fragments), message


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        ("width.hh=3", ["width.hh=3", "'hh'", "Did you mean h?", "Its keys: kind, h."]),
        ("+width.hh=3", ["'hh'", "Did you mean h?"]),
        ("outputdir=x", ["'outputdir'", "Did you mean output_dir?"]),
        ("observe.kernel.prob=3", ["'prob'", "'observe.kernel'", "Did you mean probe?", "final"]),
        ("width.h.x=3", ["'x'", "'width.h', which is a value"]),
        ("widht.h=3", ["widht.h=3", "Did you mean width?"]),
        ("+foo.bar=1", ["'foo'", "width"]),
    ],
)
def test_unknown_key_is_refused_with_the_nearest(override, fragments):
    with pytest.raises(ConfigError) as refusal:
        check_overrides(["dataset=digits", override])
    assert all(fragment in str(refusal.value) for fragment in fragments), refusal.value


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        ("seed=3", ["'seed' is one of ensemble, ", "Did you mean seed.value=3?"]),
        ("seed=range(4)", ["seed.value=range(4)?"]),
        ("+alpha=0.1,1", ["raw, rescaled", "alpha.value=0.1,1?"]),
        ("width=interval(1,3)", ["geometric, uniform", "width.h=interval(1,3)?"]),
        ("dataset=5", ["digits, "]),
    ],
)
def test_number_in_place_of_an_option_is_refused_with_the_key_that_was_meant(override, fragments):
    with pytest.raises(ConfigError) as refusal:
        check_overrides([override])
    assert all(fragment in str(refusal.value) for fragment in fragments), refusal.value


def test_what_would_be_refused_again_is_not_proposed():
    for override in ("width=null", "seed=true", "alpha={value:3}"):
        with pytest.raises(ConfigError, match="is one of") as refusal:
            check_overrides([override])
        assert "Did you mean" not in str(refusal.value)


@pytest.mark.parametrize("overrides", ["seed=ensemble +seed.value=3", "width=uniform +width.growth=2"])
def test_key_of_another_option_is_never_ignored(configure, overrides):
    """Hydra itself proposes the ``+`` when a key does not fit the chosen option."""

    def typed():
        check_overrides(overrides.split())
        return configure(*overrides.split())

    with pytest.raises((HydraException, ConfigError)):
        typed()


@pytest.mark.parametrize(
    "override",
    [
        "width.h=3",
        "width='uniform'",
        "seed=single,ensemble",
        "~hydra",
        "+experiment=demo",
        "hydra/launcher=basic",
        "hydra.verbose=true",
        "loss.target=2",
        "-m",
        "--cfg",
    ],
)
def test_known_key_passes(override):
    check_overrides([override])


@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        ("loss.target=2", ["loss.target=2: loss=soft_hinge has no key 'target'; choose it: loss=mse or loss=custom."]),
        ("dynamics.c=1", ["dynamics=gradient_flow has no key 'c'", "choose it: dynamics=momentum_flow."]),
        ("dynamics=sgd dynamics.tolerance=1", ["dynamics=sgd", "dynamics=gradient_flow or dynamics=momentum_flow"]),
        ("dynamics=linearised dynamics.lr=1", ["dynamics=frozen_kernel has no key 'lr'"]),
        ("experiment=article/fig3b_kernel dynamics.lr=1", ["dynamics=frozen_kernel has no key 'lr'"]),
        ("seed.members=2", ["choose it: seed=ensemble."]),
        ("architecture.depth=3 architecture=custom", ["An argument of your own target is architecture.kwargs.depth."]),
    ],
)
def test_a_key_of_an_option_that_was_not_chosen_says_what_to_choose(overrides, fragments):
    with pytest.raises(ConfigError) as refusal:
        check_chosen(overrides.split())
    assert all(fragment in str(refusal.value) for fragment in fragments), refusal.value


@pytest.mark.parametrize(
    "overrides",
    [
        "loss=mse loss.target=2",
        "loss=soft_hinge,mse loss.target=2",
        "experiment=article/fig6 seed.members=2",
        "experiment=article/small/fig3 seed.members=2",
        "experiment=article/small/fig9 seed.members=2",
        "dynamics=linearised dynamics.at=end",
        "'loss=glob(m*)' loss.target=2",
        "loss.beta=2",
    ],
)
def test_a_key_of_a_chosen_option_passes(overrides):
    check_chosen(shlex.split(overrides))


def test_sizes_in_bytes():
    assert parse_bytes("500MB") == 500e6
    assert parse_bytes(" 1.5 GiB ") == 1.5 * 2**30
    assert parse_bytes("1e3") == 1000
    for wrong in ("", "-1MB", "0GB", "MB", "1 parsec", "1..5MB", "nan"):
        with pytest.raises(ValueError, match="must be a positive size"):
            parse_bytes(wrong)


def test_what_help_and_sweeps_import_is_light():
    """A second or more each; the parent of a sweep and ``--help`` need none of them."""
    heavy = ("torch", "sklearn", "pandas", "matplotlib", "wandb", "mlxtend")
    code = (
        "import sys, feature_lazy.settings.schema, feature_lazy.runs.job, feature_lazy.settings.checks\n"
        "import feature_lazy.runs.plan, hydra_plugins.feature_lazy_plugins\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_linearised_network_is_the_kernel_frozen_at_the_start(configure):
    assert configure("dynamics=linearised") == configure("dynamics=frozen_kernel")


def test_a_stepper_that_a_system_does_not_have_is_refused(configure):
    with pytest.raises(ConfigError, match=r"dynamics.stepper=tangent: must be one of auto, rk32, rkc2"):
        validate(configure("dynamics=momentum_flow", "dynamics.stepper=tangent"))


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (lambda: Sgd(units="author"), "dynamics.units=author: must be one of authors, article."),
        (lambda: Sgd(lr=-1.0), "dynamics.lr=-1.0: must be greater than 0."),
        (lambda: GradientFlowOption(stepper="rk33"), "dynamics.stepper=rk33: must be one of auto, article"),
        (lambda: GradientFlowOption(controller="smoth"), "dynamics.controller=smoth: must be one of authors, smooth."),
        (lambda: FrozenKernelOption(at="begin"), "dynamics.at=begin: must be one of start, end, time."),
    ],
)
def test_a_misspelt_word_is_refused_from_python_too(made, key):
    network = FullyConnected(4, [3], scaled(Softplus(5.0)))
    w0 = network.layout.flatten({name: w[None] for name, w in network.init(0).items()})
    x, y = torch.eye(4, dtype=torch.float64), torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    flow = NetworkFlow(network, x, y, SoftHinge(), alpha=w0.new_ones(1), w0=w0, memory_limit=1e9)
    with pytest.raises(ConfigError) as refusal:
        made().prepare(flow, w0)
    assert key in str(refusal.value)


def test_a_misspelt_stepper_is_refused():
    with pytest.raises(ConfigError, match="stepper 'sdg': there is none; choose one of article, auto"):
        method("sdg", 1e-2)


NEEDS_A_TARGET = {
    (g, "custom") for g in ("architecture", "dataset", "tracking", "activation", "loss", "dynamics", "labels")
}
NEEDS_A_TEACHER = {("labels", "distilled"), ("loss", "distillation")}
NEEDS_A_PATH = {("dataset", "file"), ("dataset", "folder")}


@every_option
def test_every_option_composes_into_a_job_that_can_be_trained(configure, group, option):
    """With the overrides of its smallest job; warnings are errors here, as in every test."""
    made = options(group).get(option)
    needed = made.smallest() if made else ["centred=false"] if option == "adamw" else ()
    config = configure(f"{group}={option}", *needed)
    if (group, option) == ("seed", "from_run"):
        with pytest.raises(ConfigError, match=r"seed.run: name a stored run to start from"):
            validate(config)
    elif (group, option) in NEEDS_A_TEACHER:
        with pytest.raises(ConfigError, match=r"labels\.teacher: name a stored run"):
            validate(config)
    elif (group, option) in NEEDS_A_TARGET:
        with pytest.raises(ConfigError, match="a target of your own is needed"):
            validate(config)
    elif (group, option) in NEEDS_A_PATH:
        with pytest.raises(ConfigError, match=r"dataset\.path: name your "):
            validate(config)
    else:
        validate(config)


def test_commands_that_look_do_not_wait_for_pytorch(tmp_path):
    """Composition, help and status, each in a process of its own."""
    (tmp_path / "runs").mkdir()
    calls = {
        "compose": "from feature_lazy.settings.overrides import composed; composed(['loss=mse', 'dynamics=sgd'])",
        "help": "from feature_lazy.launch.train import main; main(['--help'])",
        "status": f"from feature_lazy.launch.commands import main; main(['status', {str(tmp_path)!r}])",
    }
    for name, code in calls.items():
        command = [sys.executable, "-c", f"{code}; import sys; print('torch' in sys.modules)"]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert shown.splitlines()[-1] == "False", name


def test_a_module_of_the_current_folder_is_pointed_at(configure, tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text("def act(z):\n    return z\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"mine_here\.py is in the current folder: begin the command with PYTHONPATH"):
        validate(configure("activation=custom", "activation.target=mine_here.act"))
