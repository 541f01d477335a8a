"""What a run that goes on makes anew: drawn twice at the start, and held against what it was begun with."""

import hashlib
import json
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from feature_lazy.core.drawn import disturbed, drawn
from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.core.fingerprints import GRID, Fingerprint
from feature_lazy.measure.follow import follow
from feature_lazy.runs import batch
from feature_lazy.runs.batch import build
from feature_lazy.runs.resumption import DifferentError
from feature_lazy.runs.store import checkpoint
from feature_lazy.runs.train import run
from tests.arrays import normal
from tests.conftest import QUICK

MINE = '''
import itertools
import random

import numpy as np
import torch
from torch import nn

SCALE, SHIFT, SWAPPED = 1.0, 0.0, 0
COUNT = itertools.count()


def init(seed):
    generator = torch.Generator().manual_seed(seed)
    return {"a": SCALE * torch.randn(9, 6, generator=generator), "b": torch.randn(6, generator=generator)}


def apply(weights, x):
    return torch.tanh((x.flatten(1) + SHIFT) @ weights["a"]) @ weights["b"]


def pair():
    return init, apply


def forgets(by):
    """A pair whose weights the seed does not decide."""
    draws = {
        "torch": lambda: torch.randn(6, dtype=torch.float64),
        "numpy": lambda: torch.from_numpy(np.random.randn(6)),
        "entropy": lambda: torch.from_numpy(np.random.default_rng().normal(size=6)),
        "python": lambda: torch.tensor([random.gauss(0, 1) for _ in range(6)], dtype=torch.float64),
        "count": lambda: torch.full((6,), float(next(COUNT)), dtype=torch.float64),
    }
    return lambda seed: {**init(seed), "b": draws[by]()}, apply


class FromNumpy(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.from_numpy(np.random.randn(9)))

    def forward(self, x):
        return x.flatten(1) @ self.b


def noisy(by):
    """A network that is not the same function the next time."""
    more = {"numpy": lambda: 1e-3 * np.random.randn(), "count": lambda: 1e-3 * next(COUNT)}
    return init, lambda weights, x: apply(weights, x) * (1 + more[by]())


def data(n=30, seeded=True, path=""):
    generator = torch.Generator().manual_seed(0) if seeded else None
    x = torch.randn(n, 9, generator=generator)
    y = x[:, :3].sum(1).sign()
    y[: int(open(path).read()) if path else SWAPPED] *= -1
    return x, y
'''
OWN = (
    "architecture=custom",
    "architecture.target=own_inputs.pair",
    "dataset=custom",
    "dataset.target=own_inputs.data",
    "dataset.n_train=10",
    "dataset.n_test=20",
    "observe.kernel.probe=0",
    "width.h=6",
    *QUICK,
)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's module, as Python has it."""
    (tmp_path / "own_inputs.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_inputs

    yield own_inputs
    sys.modules.pop("own_inputs")


@pytest.fixture
def job(own, configure, tmp_path):
    return lambda *more: configure(*OWN, f"output_dir={tmp_path / 'results'}", *more)


def train(config):
    return run(build(config))


@pytest.mark.parametrize("by", ["torch", "numpy", "entropy", "python", "count"])
def test_weights_that_the_seed_does_not_decide_are_refused(job, by):
    with pytest.raises(
        ConfigError, match="initial weights of seed 0 are others each time that they are made, first 'b'"
    ):
        train(job("architecture.target=own_inputs.forgets", f"architecture.kwargs={{by: {by}}}"))


def test_so_is_a_module_that_numpy_draws(job):
    with pytest.raises(ConfigError, match="seed 0 are others"):
        train(job("architecture.target=own_inputs.FromNumpy"))


@pytest.mark.parametrize("by", ["numpy", "count"])
def test_a_network_that_is_another_function_each_time_is_refused(job, own, by):
    with pytest.raises(ConfigError, match="other outputs when it is asked again"):
        build(job("architecture.target=own_inputs.noisy", f"architecture.kwargs={{by: {by}}}"))
    init, apply = own.noisy(by)
    x = normal(4, 9)
    weights = {name: weight.double() for name, weight in init(0).items()}
    with pytest.raises(ConfigError, match="other outputs when it is asked again"):
        follow(apply, weights, (x, x[:, 0].sign()), alpha=1.0)


def test_data_without_a_seed_are_refused(job):
    with pytest.raises(
        DataError, match=r"data of own_inputs.data are others each time that they are made.*dataset.seed"
    ):
        build(job("dataset.kwargs={seeded: false}"))


def test_drawing_twice_leaves_the_generators_alone():
    def state():
        return random.random(), np.random.rand(), float(torch.rand(()))

    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(5)
    expected = state()
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(5)
    with disturbed():
        assert state() != expected
    assert state() == expected
    nan = torch.tensor([torch.nan, 1.0])
    assert drawn(lambda: {"a": nan.clone()}, ConfigError, "", "")["a"][1] == 1


STOPPED = ("dynamics.max_steps=3",)


def test_a_resume_of_the_same_is_what_it_was(job, tmp_path):
    stopped = train(job(*STOPPED))[0]
    assert stopped.summary["outcome"] == "max_steps"
    one = train(job())[0]
    assert set(one.inputs) == {"data", "weights", "outputs"}
    assert one.inputs == stopped.inputs
    other = train(job(f"output_dir={tmp_path / 'other'}"))[0]
    assert one.rows == other.rows
    assert one.inputs == other.inputs


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("SCALE", 1.1, "initial weights and outputs of its network at the start"),
        ("SWAPPED", 1, "data"),
        ("SHIFT", 1e-2, "outputs of its network at the start"),
    ],
)
def test_a_resume_that_differs_is_refused_and_leaves_the_run_alone(job, own, monkeypatch, name, value, what):
    stopped = train(job(*STOPPED))[0]
    before = {path.name: path.read_bytes() for path in stopped.path.iterdir() if "owner" not in path.name}
    monkeypatch.setattr(own, name, value)
    with pytest.raises(DifferentError, match=f"{stopped.run_id} was begun with other {what} than there are now"):
        train(job())
    after = {path.name: path.read_bytes() for path in stopped.path.iterdir() if "owner" not in path.name}
    assert b"was begun with other" in after.pop("error.txt")
    assert after == before
    monkeypatch.undo()


def with_inputs(stopped, change):
    """The checkpoint with other fingerprints; the file."""
    [path] = checkpoint.paths(stopped.path)
    found = checkpoint.read(path)
    assert found is not None
    path.unlink()
    inputs = {name: change(text) for name, text in found.moment.inputs.items()}
    return checkpoint.write(stopped.path, replace(found.moment, inputs=inputs), found.arrays)


def as_elsewhere(text, by=1e-10):
    """A fingerprint from a machine that rounds differently."""
    one = Fingerprint.read(text)
    tensors = [
        (shape, tuple(n * (1 + by * (-1) ** i) for i, n in enumerate(numbers))) for shape, numbers in one.tensors
    ]
    return str(Fingerprint(tuple(tensors)))


def test_a_resume_where_numbers_round_differently_is_no_other(job, own, tmp_path):
    other = train(job(f"output_dir={tmp_path / 'other'}"))[0]
    with_inputs(train(job(*STOPPED))[0], as_elsewhere)
    assert train(job())[0].rows == other.rows
    with_inputs(train(job(*STOPPED, "alpha.value=2"))[0], lambda text: as_elsewhere(text, 1e-2))
    with pytest.raises(DifferentError, match="other data and initial weights and outputs of its network at the start"):
        train(job("alpha.value=2"))


def test_checkpoints_with_names_for_fingerprints_go_on_and_are_compared(job, own, monkeypatch):
    def names(text):
        """As all were stored before there were numbers: those of outputs on a grid of their own."""
        one = Fingerprint.read(text)
        grid = torch.finfo(torch.float64).eps ** 0.25 if one.tensors[0][0] == "10" else GRID
        return Fingerprint(one.tensors, grid=grid).name

    with_inputs(train(job(*STOPPED))[0], names)
    monkeypatch.setattr(own, "SCALE", 1.1)
    with pytest.raises(DifferentError, match="other initial weights and outputs of its network at the start"):
        train(job())
    monkeypatch.setattr(own, "SCALE", 1.0)
    assert train(job())[0].summary["outcome"] == "converged"


def test_only_what_a_user_wrote_is_drawn_twice(tiny, job, monkeypatch):
    def twice(init, seed):
        raise AssertionError

    monkeypatch.setattr(batch, "initial_weights", twice)
    one, other = build(tiny()), build(job())
    one.w0(one.cells)
    with pytest.raises(AssertionError):
        other.w0(other.cells)


def without_inputs(stopped):
    """The checkpoint as it was written before there were fingerprints."""
    written = with_inputs(stopped, str)
    data = written.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    moment = {name: value for name, value in json.loads(header["moment"]).items() if name != "inputs"}
    old = save(load(data), metadata={"moment": json.dumps(moment)})
    written.unlink()
    (stopped.path / f"checkpoint-7-{hashlib.sha256(old).hexdigest()[:16]}.safetensors").write_bytes(old)


def test_a_checkpoint_from_before_goes_on_and_is_still_compared(job, own, monkeypatch, tmp_path):
    without_inputs(train(job(*STOPPED))[0])
    monkeypatch.setattr(own, "SCALE", 1.1)
    with pytest.raises(DifferentError, match="outputs of its network at the weights that are stored"):
        train(job())
    monkeypatch.setattr(own, "SCALE", 1.0)
    one, other = train(job())[0], train(job(f"output_dir={tmp_path / 'other'}"))[0]
    assert one.rows == other.rows


@pytest.mark.parametrize(
    "dynamics", ["gradient_flow", "momentum_flow", "frozen_kernel dynamics.stepper=rk32", "sgd", "adam"]
)
def test_every_dynamics_resumes_in_single_precision_far_in_the_lazy_regime(tiny, dynamics):
    """Where outputs of before and of now round most: α·ε·rms(f) is 1e-3 of F."""
    overrides = (*f"dynamics={dynamics}".split(), "dtype=float32", "alpha.value=1e3", "dynamics.precision_tol=1e-2")
    [stopped] = train(tiny(*overrides, "dynamics.max_steps=2"))
    assert stopped.summary["outcome"] == "max_steps"
    [again] = train(tiny(*overrides, "dynamics.max_steps=4"))
    assert again.summary["steps"] + again.summary["rejected"] >= 3
