"""Optimisers of PyTorch by name, a user's own, and what ours have of theirs: momentum, betas, decay, schedules."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.optimisers import Adam, Lion, Optimiser, Sgd
from feature_lazy.dynamics.own_optimiser import CustomOptimiser
from feature_lazy.networks.layout import partly
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings.checks import validate
from feature_lazy.settings.objects import own
from tests.conftest import composed

SMALL = ("dataset.n_train=8", "dataset.n_test=4", "width.h=3", "architecture.depth=1", "observe.kernel.probe=2")
UPDATES = 7


def weights_after(optimiser, updates=UPDATES, *, fixed=()):
    """Weights of two members of a small network after some updates, and the system."""
    batch = build(composed(*SMALL))
    trained = [name for name in batch.architecture.layout.shapes if name not in fixed]
    net = partly(batch.architecture, trained)
    w0 = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in range(2)])
    data = batch.dataset
    alpha = torch.tensor([0.5, 20.0], dtype=torch.float64)
    flow = NetworkFlow(net, data.x_train, data.y_train, batch.loss, alpha=alpha, w0=w0, centred=False)
    training = optimiser.prepare(flow, w0)
    system = training.system
    y = system.updates(training.y0, torch.arange(2), torch.zeros(2, dtype=torch.int64), updates)
    return system.weights(y), w0, system


SHARED = {"batch": 3, "updates": 20}
PAIRS = {
    "sgd": (("torch.optim.SGD", {}), Sgd, {}),
    "momentum": (("torch.optim.SGD", {"momentum": 0.8}), Sgd, {"momentum": 0.8}),
    "nesterov": (("torch.optim.SGD", {"momentum": 0.8, "nesterov": True}), Sgd, {"momentum": 0.8, "nesterov": True}),
    "adam": (("torch.optim.Adam", {"betas": [0.7, 0.9]}), Adam, {"betas": [0.7, 0.9]}),
    "adamw": (("torch.optim.AdamW", {"weight_decay": 0.5}), Adam, {"weight_decay": 0.5}),
}


@pytest.mark.parametrize("units", ["authors", "article"])
@pytest.mark.parametrize("name", PAIRS)
def test_ours_are_those_of_pytorch(name, units):
    (target, kwargs), ours, keys = PAIRS[name]
    theirs = CustomOptimiser(target=target, kwargs=kwargs, lr=0.02, units=units, **SHARED)
    mine = ours(lr=0.02, units=units, **keys, **SHARED)
    w, w0, _ = weights_after(theirs)
    assert float((w - w0).abs().max()) > 1e-3
    torch.testing.assert_close(weights_after(mine)[0], w, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedules_are_those_of_pytorch(schedule):
    leaf = torch.nn.Parameter(torch.zeros(1))
    inner = torch.optim.SGD([leaf], lr=1.0)
    made = {
        "linear": torch.optim.lr_scheduler.LinearLR(inner, 1.0, 0.0, total_iters=20),
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(inner, 20),
    }[schedule]
    optimiser = Sgd(lr=0.5, schedule=schedule, updates=20)
    for k in range(1, 21):
        assert optimiser.at(k).lr == pytest.approx(0.5 * made.get_last_lr()[0], rel=1e-12, abs=1e-15)
        inner.step()
        made.step()


def test_warmup_grows_in_a_line_and_the_schedule_follows():
    optimiser = Sgd(lr=1.0, warmup=4, schedule="linear", updates=14)
    assert [optimiser.factor(k) for k in (1, 2, 4, 5, 10)] == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.5])
    plain, _, _ = weights_after(Sgd(lr=0.02, **SHARED), 1)
    warm, w0, _ = weights_after(Sgd(lr=0.02, warmup=4, **SHARED), 1)
    torch.testing.assert_close(warm - w0, (plain - w0) / 4, rtol=1e-9, atol=1e-14)


def test_lion_moves_by_signs():
    w, w0, _ = weights_after(Lion(lr=1e-3, **SHARED), 1)
    moved = (w - w0)[(w - w0).abs() > 1e-9]
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 1e-3), rtol=1e-9, atol=0)


class Sam(Optimiser):
    """A second gradient, where the loss is highest nearby (Foret et al. 2021)."""

    rho = 0.05

    def update(self, y, gradient, k, scale, flow):
        there = y + self.rho * gradient / gradient.norm(dim=1, keepdim=True)
        return y - self.lr * flow.gradient(there)


def test_a_second_gradient_is_that_of_each_member():
    made = CustomOptimiser(target=own(Sam), lr=0.1, units="article", **SHARED)
    w, w0, system = weights_after(made, 1)
    part = system.flow.on_batch(system._patterns(0, w0.device))
    for member in range(2):
        at, one = w0[[member]], torch.tensor([member])
        slope = -part.evaluate(at, one)[0]
        there = -part.evaluate(at + 0.05 * slope / slope.norm(), one)[0]
        torch.testing.assert_close(w[[member]], at - 0.1 * there, rtol=1e-9, atol=1e-12)
        # When others have left the batch it is still its own α and f₀ that count.
        alone = system.updates(at, one, torch.zeros(1, dtype=torch.int64), 1)
        torch.testing.assert_close(alone, w[[member]], rtol=1e-9, atol=1e-12)


def test_what_is_fixed_stays():
    made = CustomOptimiser(target="torch.optim.RMSprop", lr=0.1, kwargs={"momentum": 0.5}, **SHARED)
    w, w0, system = weights_after(made, fixed=("W0",))
    size = system.flow.architecture.layout.sizes[0]
    assert torch.equal(w[:, :size], w0[:, :size])
    assert not torch.equal(w[:, size:], w0[:, size:])


@pytest.mark.parametrize("target", ["torch.optim.NAdam", "torch.optim.Adafactor", "torch.optim.Rprop"])
def test_a_run_is_resumed_bit_for_bit(tmp_path, target):
    def job(folder, steps):
        return composed(
            *SMALL, "dynamics=custom", f"dynamics.target={target}", "dynamics.lr=1e-3", "dynamics.batch=4",
            "dynamics.updates=12", "dynamics.check_every=2", f"dynamics.max_steps={steps}", "observe.per_decade=2",
            f"output_dir={tmp_path / folder}", "observe.kernel.final=false",
        )  # fmt: skip

    [run_id] = train_config(job("whole", 100))
    train_config(job("parts", 3))
    assert train_config(job("parts", 100)) == [run_id]
    one, other = (Store(tmp_path / name).load(run_id) for name in ("whole", "parts"))
    assert one.summary["outcome"] == other.summary["outcome"]
    for name, values in one.history.items():
        assert values.tobytes() == other.history[name].tobytes(), name


class Noisy(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data += torch.randn_like(p)


class Counting(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            group["count"] = group.get("count", 0) + 1


class Odd(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["past"] = [p]


class Short(Optimiser):
    def update(self, y, gradient, k, scale, flow):
        return y[:, :1]


REFUSED = {
    "torch.optim.LBFGS": "it fails on weights such as these",
    "torch.nn.Linear": "it is no optimiser; name a class of torch.optim",
    Noisy: "it draws random numbers",
    Counting: "it keeps numbers in its param_groups",
    Odd: "it remembers 'past', list, which no checkpoint holds",
    Short: "update returns (2, 1) for a state (2,",
}


@pytest.mark.parametrize("target", REFUSED, ids=str)
def test_what_is_no_optimiser_is_refused(target):
    path = target if isinstance(target, str) else own(target)
    with pytest.raises(ConfigError) as refusal:
        weights_after(CustomOptimiser(target=path, lr=0.1, **SHARED))
    assert REFUSED[target] in str(refusal.value)
    assert str(refusal.value).startswith(f"dynamics.target={path}")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["dynamics=custom", "dynamics.target=torch.optim.Nothing"], "has no 'Nothing'"),
        (["dynamics=custom", "dynamics.target=torch.optim.SGD", "dynamics.kwargs={lr: 1}"], "the learning rate is"),
        (["dynamics=custom", "dynamics.target=torch.optim.SGD", "dynamics.kwargs={weight_decay: 1}"], "centred=false"),
        (["dynamics=adamw"], "centred=false"),
        (["dynamics=adam", "dynamics.betas=[0.9]"], "two numbers below 1"),
        (["dynamics=sgd", "dynamics.momentum=1"], "must be below 1"),
        (["dynamics=sgd", "dynamics.nesterov=true"], "there is no momentum"),
        (["dynamics=sgd", "dynamics.warmup=5", "dynamics.updates=5"], "must be below dynamics.updates=5"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        validate(composed(*keys))
