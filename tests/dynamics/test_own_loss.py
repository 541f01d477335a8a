"""A function ℓ(F, y) as the loss: the same training as by the option, and refused before it if it is none."""

import pytest
import torch

from feature_lazy import follow
from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.losses import CrossEntropy, Mse, QuadraticHinge
from feature_lazy.dynamics.own_loss import CustomLoss
from feature_lazy.runs.batch import build
from feature_lazy.settings.checks import validate
from feature_lazy.settings.objects import own
from tests.arrays import normal
from tests.conftest import composed


def quadratic_hinge(F, y):
    return 0.5 * (1 - F * y).relu() ** 2


PAIRS = {
    "one": (CustomLoss(target=own(quadratic_hinge)), QuadraticHinge(), torch.tensor([1.0, -1, -1]).double(), 1),
    "classes": (
        CustomLoss(target="torch.nn.functional.cross_entropy", kwargs={"reduction": "none"}, labels="classes"),
        CrossEntropy(),
        torch.tensor([0, 2, 1]),
        3,
    ),
    "members": (
        CustomLoss(target=own(quadratic_hinge)),
        QuadraticHinge(),
        torch.tensor([[1.0, -1, 1]] * 2).double(),
        1,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_function_is_the_loss_of_that_name(name):
    mine, ours, y, c = PAIRS[name]
    F = normal(2, 3 * c)
    torch.testing.assert_close(mine(F, y), ours(F, y), rtol=1e-12, atol=1e-12)
    assert torch.equal(mine.margin(F, y), ours.margin(F, y))


def test_real_labels_have_the_margin_of_ours():
    mine = CustomLoss(target=own(lambda F, y: 0.5 * (F - y) ** 2), labels="real")
    ours = Mse().for_labels(composed("labels=regression", "loss=mse").labels)
    F, y = normal(2, 4), normal(4)
    assert torch.allclose(mine(F, y), ours(F, y))
    assert torch.equal(mine.margin(F, y), ours.margin(F, y))
    assert mine.stop_margin == ours.stop_margin


def test_follow_takes_a_function():
    def run(loss):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()
        return follow(net, None, (normal(4, 3), torch.tensor([1.0, -1, 1, -1])), alpha=1.0, loss=loss)

    mine, ours = run(quadratic_hinge), run(QuadraticHinge())
    assert mine.outcome == ours.outcome
    # The pair and the exponential integrator are chosen by what is known of the loss; both are to 1e-2.
    torch.testing.assert_close(mine.F_train[-1], ours.F_train[-1], rtol=0.05, atol=0.05)


REFUSED = {
    "it returns torch.float64 (); it must return a tensor (10,)": lambda F, y: ((F - y) ** 2).mean(),
    "it fails on outputs F of the shape": lambda F, y: F @ torch.ones(3),
    "it gives a pattern another value among others than alone": lambda F, y: (F - y) ** 2 + F.mean(),
    "it has no derivative by outputs F": lambda F, y: (F.detach() - y) ** 2,
    "its derivative is 0 wherever": lambda F, y: (F * y < 0).double() + 0 * F,
    "infinities or NaN": lambda F, y: (F * y).log(),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_loss_is_refused_before_training(message):
    job = composed("loss=custom", f"loss.target={own(REFUSED[message])}", "dataset.n_train=4", "width.h=3")
    validate(job)
    with pytest.raises(ConfigError) as refusal:
        build(job)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("loss.target=python:")


def test_labels_of_another_kind_are_refused():
    job = composed("loss=custom", "loss.target=tests.dynamics.test_own_loss.quadratic_hinge", "labels=classes")
    with pytest.raises(ConfigError, match=r"loss\.labels=one: labels=classes are of another kind; .* write classes"):
        validate(job)
