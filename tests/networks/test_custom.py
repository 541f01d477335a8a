"""A user's own network and data: made from seeds, checked, trained by configuration, and as the tutorial says."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.custom import Custom
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.schema import from_plain
from tests.arrays import normal
from tests.conftest import QUICK, ROOT

X = normal(6, 2, 3)


class Small(nn.Module):
    """Takes patterns (P, 2, 3)."""

    def __init__(self, width=4, noisy_buffer=False, frozen=False, width_of_chance=False):
        super().__init__()
        width = width + int(torch.randint(1000, ())) if width_of_chance else width
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 1))
        self.register_buffer("shift", torch.randn(1) if noisy_buffer else torch.ones(1))
        if frozen:
            self.layers[1].bias.requires_grad_(False)

    def forward(self, x):
        return self.layers(x - self.shift)


def pair(scale=1.0):
    """A network as pure functions."""

    def init(seed):
        return {"a": scale * normal(6, seed=seed)}

    def apply(weights, x):
        return torch.tanh(x.flatten(1) @ weights["a"])

    return init, apply


def test_seeds_decide_the_weights_and_nothing_else_does():
    state = torch.random.get_rng_state()
    net = Custom.made_by(Small, X, last_fan_in=4)
    first, again, other = net.init(0), Custom.made_by(Small, X).init(0), net.init(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) and first[name].dtype == torch.float64 for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first)
    assert net.last_fan_in == 4


def test_members_are_the_modules():
    net = Custom.made_by(Small, X)
    parts = [net.init(seed) for seed in range(3)]
    together = net.apply({name: torch.stack([part[name] for part in parts]) for name in parts[0]}, X.flatten(1))
    for e, part in enumerate(parts):
        module = Small().double()
        module.load_state_dict(part | {"shift": torch.ones(1)})
        torch.testing.assert_close(together[e], module(X)[:, 0], rtol=1e-12, atol=1e-12)


def test_a_pair_of_functions_is_a_network():
    net = Custom.made_by(pair, X)
    assert torch.equal(net.init(3)["a"], normal(6, seed=3))
    params = {"a": torch.stack([net.init(0)["a"], net.init(1)["a"]])}
    torch.testing.assert_close(net.apply(params, X.flatten(1)), torch.tanh(params["a"] @ X.flatten(1).T))


class Phases(nn.Module):
    """Multiplies by a fixed phase, twice by i, and takes the real part: −w·x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(6))
        self.register_buffer("phase", torch.tensor(1j))

    def forward(self, x):
        return (x.flatten(1) @ self.w * self.phase * self.phase).real


@pytest.mark.filterwarnings("error")
def test_a_complex_buffer_keeps_its_imaginary_part():
    net = Custom.made_by(Phases, X)
    f = net.apply({"w": torch.ones(1, 6).double()}, X.flatten(1))
    torch.testing.assert_close(f[0], -X.flatten(1).sum(1))


def test_initial_weights_may_be_arrays():
    net = Custom.made_by(lambda: (lambda seed: {"a": np.ones(6)}, pair()[1]), X)
    assert torch.equal(net.init(0)["a"], torch.ones(6).double())


def test_dtype_is_that_of_the_patterns():
    net = Custom.made_by(Small, X.float())
    weights = {name: w[None].float() for name, w in net.init(0).items()}
    assert net.apply(weights, X.flatten(1).float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: 3, "the target returns int; it must return a torch.nn.Module, or a pair"),
        (lambda: (pair, 3), "the target returns tuple"),
        (lambda: (lambda seed: [normal(6)], pair()[1]), "weights are list; they must be a dictionary"),
        (lambda: (lambda seed: {"a": normal(6) * 1j}, pair()[1]), "weight 'a' is torch.complex128"),
        (lambda: (lambda seed: {"a": normal(6) / (1 - seed)}, pair()[1]), "entries of weight 'a' have infinities"),
        (lambda: nn.ParameterList([torch.ones(6) * 1j]), "weight '0' is torch.complex64"),
        (lambda: Small(noisy_buffer=True), "'shift' of the network is no trainable weight and depends on the seed"),
        (lambda: Small(frozen=True), "'layers.1.bias' of the network is no trainable weight and depends on the seed"),
        (lambda: Small(width_of_chance=True), "the network of seed 1 has other weights than that of seed 0"),
        (lambda: nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(6, 1)), "writes into its input"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(6, 1)), "is in training mode"),
    ],
)
def test_what_is_no_network_of_a_seed_is_refused(factory, message):
    def made():
        return Custom.made_by(factory, X).init(1)

    before = X.clone()
    with pytest.raises((ConfigError, DataError), match=message):
        made()
    assert torch.equal(X, before)


def convolutions(channels):
    through = ((1, channels, 5, 2, 1), (channels, channels, 5, 1, 1))
    parts = [part for keys in through for part in (nn.Conv2d(*keys, bias=False), nn.Tanh())]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1, bias=False))


@pytest.mark.parametrize(
    ("make", "shape", "built_in"),
    [
        (
            lambda: nn.Sequential(nn.Linear(6, 200), nn.Tanh(), nn.Linear(200, 100), nn.Tanh(), nn.Linear(100, 1)),
            (6,),
            FullyConnected(6, (200, 100), scaled(Tanh())),
        ),
        (lambda: convolutions(3), (1, 20, 20), Convolutional((1, 20, 20), (3,), scaled(Tanh()))),
    ],
    ids=["dense", "convolutions"],
)
def test_a_module_holds_what_the_same_network_holds(make, shape, built_in):
    """So that as many patterns are done at once: neither a hundredth of them, nor more than there is memory for."""
    net = Custom.made_by(make, normal(3, *shape))
    assert 1 <= net.activations_per_pattern / built_in.activations_per_pattern < 1.1


MINE = """
import torch
from torch import nn


def net(d, width, outputs=1):
    return nn.Sequential(nn.Flatten(), nn.Linear(d, width), nn.Tanh(), nn.Linear(width, outputs))


def load(n, classes=False):
    x = torch.randn(n, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    return x, x[:, 0, 0, :3].argmax(1) if classes else x.mean((1, 2, 3)).sign()


def writes(d, width):
    return nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(d, 1))


def fails():
    raise ValueError("no file")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of a user's, in a folder on the path."""
    (tmp_path / "users_module.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("users_module", None)


NETWORK = (
    "architecture=custom",
    "architecture.target=users_module.net",
    "architecture.kwargs={d: 25, width: ${width.h}}",
)
DATA = (
    "dataset=custom",
    "dataset.target=users_module.load",
    "dataset.kwargs.n=60",
    "dataset.n_train=20",
    "dataset.n_test=30",
)
TINY = ("width.h=8", "observe.kernel.probe=10", "observe.per_decade=2", *QUICK)


@pytest.mark.usefixtures("mine")
def test_both_train_by_configuration(configure, tmp_path):
    config = configure(*NETWORK, *DATA, *TINY, "seed=ensemble", "seed.members=2", f"output_dir={tmp_path / 'results'}")
    runs = run(build(config))
    assert [found.summary["outcome"] for found in runs] == ["converged"] * 2
    assert runs[0].columns["h"] == 8
    assert runs[0].columns["L"] is None
    assert runs[0].columns["labels"] == "custom"
    # What trains it again, by feature-lazy retry.
    again = from_plain(json.loads(json.dumps(runs[0].manifest["resolved"])))
    assert [cell.run_id for cell in cells(again)] == [runs[0].run_id]
    assert json.loads(json.dumps(runs[0].columns)) == runs[0].columns
    assert runs[0].summary["kernel/change"] > 0


CLASSES = ("+dataset.kwargs.classes=true", "loss=cross_entropy")


@pytest.mark.usefixtures("mine")
def test_classes_of_a_user_decide_the_outputs(configure, tmp_path):
    data = (*DATA, *CLASSES, *TINY, f"output_dir={tmp_path / 'results'}")
    [own] = run(build(configure(*NETWORK, "+architecture.kwargs.outputs=3", *data)))
    [ours] = run(build(configure("architecture.depth=1", *data)))
    for found in (own, ours):
        assert found.summary["outcome"] == "converged"
        assert found.outputs["F_test"].shape == (30, 3)


@pytest.mark.usefixtures("mine")
def test_a_network_that_writes_into_its_input_is_refused_without_a_kernel_too(configure):
    writing = configure(*NETWORK, "architecture.target=users_module.writes", *DATA, *TINY, "observe.kernel.probe=0")
    with pytest.raises(ConfigError, match=r"in module '1' \(ReLU\): it writes into its input"):
        build(writing)


@pytest.mark.usefixtures("mine")
def test_the_default_of_n_test_takes_what_there_is(configure):
    few = configure(*NETWORK, *DATA[:-1], "observe.per_decade=2")
    assert len(build(few).dataset.x_test) == 40
    with pytest.raises(ConfigError, match=r"eigenvalues=41: must be at most observe\.kernel\.probe=40"):
        build(configure(*NETWORK, *DATA[:-1], "observe.kernel.eigenvalues=41"))
    with pytest.raises(DataError, match="there are 60 patterns"):
        build(configure(*NETWORK, *DATA[:-1], "dataset.n_test=41"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            (*NETWORK, *CLASSES),
            "architecture.target=users_module.net: the network has 1 outputs; for the labels of "
            "dataset.target=users_module.load it must have 3.",
        ),
        ((*NETWORK, "+architecture.kwargs.outputs=3"), "the network has 3 outputs; .* it must have 1."),
        (CLASSES[:1], "loss=soft_hinge: is for one output; with the labels of dataset.target=users_module.load use"),
        (CLASSES[1:], "loss=cross_entropy: is for classes, .*; with the labels of dataset.target=users_module.load"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_labels_that_do_not_fit_network_or_loss_are_refused(configure, overrides, message):
    with pytest.raises(ConfigError, match=message):
        build(configure(*DATA, *TINY, *overrides))


@pytest.mark.usefixtures("mine")
def test_images_of_a_user_go_through_the_networks_of_this_repository(configure):
    small = configure(
        "architecture=wide_resnet", "architecture.depth=10", "width.h=1", *DATA, "observe.kernel.probe=10"
    )
    assert build(small).architecture.image_shape == (1, 5, 5)
    with pytest.raises(ConfigError, match=r"images of 5 × 5 pixels have nothing left for convolution 2 of 4"):
        build(configure("architecture=cnn", *DATA, "observe.kernel.probe=10"))


@pytest.mark.parametrize(
    ("overrides", "h"),
    [
        ("width=geometric width.h=4 width.growth=2", 16),
        ("architecture=wide_resnet architecture.depth=10 width.h=2", 128),
        ("architecture=cnn dataset=mnist5k width=geometric width.h=4 width.growth=2", 8),
    ],
)
def test_h_is_the_fan_in_that_the_network_has(configure, overrides, h):
    config = configure(*overrides.split(), "dataset.n_train=4", "dataset.n_test=4", "observe.kernel.probe=2")
    experiment = build(config)
    assert experiment.architecture.last_fan_in == config.h == experiment.cells[0].columns["h"] == h
    assert experiment.alpha == pytest.approx(h**-0.5, rel=1e-15)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+architecture.kwargs.heads=2", "architecture.target=users_module.net: it fails: net.. got an unexpected"),
        ("architecture.kwargs={d: 24, width: 3}", "the network fails on patterns of the shape .1, 5, 5., .*Linear"),
        ("architecture.target=shutil.rmtree", "architecture.target=shutil.rmtree: .*blocklisted"),
        ("dataset.target=users_module.fails", "dataset.target=users_module.fails: it fails: .*"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_targets_that_fail_are_named(configure, override, message):
    with pytest.raises(ConfigError, match=message):
        build(configure(*NETWORK, *DATA, *TINY, override))


def test_the_tutorial_does_what_it_says(tmp_path):
    """Copied from the page itself: the module, the command, and the lines of Python."""
    page = (ROOT / "docs" / "your_own_network.md").read_text(encoding="utf-8")
    (_, module), (_, command), (_, script) = re.findall(r"```(python|sh)\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mynet.py").write_text(module)
    (tmp_path / "script.py").write_text(script)
    command = command.replace("PYTHONPATH=.", f"PYTHONPATH={tmp_path}").replace("python ", f"{sys.executable} ")
    shell = f"{command.rstrip()} output_dir={tmp_path / 'results'} threads=1"
    trained = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert trained.stdout.count(": converged at t = ") == 2, trained.stdout + trained.stderr
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "OMP_NUM_THREADS": "1", "PATH": ""}
    followed = subprocess.run(
        [sys.executable, tmp_path / "script.py"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert followed.stdout.startswith("converged"), followed.stderr
