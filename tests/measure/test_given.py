"""What follow and regime take, and what they refuse in a sentence before anything is trained."""

import math
from types import FunctionType

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from feature_lazy import follow, regime
from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.dynamics.losses import Mse, SoftHinge, SquaredError
from feature_lazy.dynamics.optimisers import Adam
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.own_optimiser import CustomOptimiser
from feature_lazy.measure.given import Given
from tests.arrays import normal
from tests.dynamics.test_flow import NETWORK, W0

X, Y = normal(6, 4), torch.tensor([1.0, -1, 1, -1, 1, -1]).double()
CLASSES = np.array([0, 1, 2, 0, 1, 2])
WEIGHTS = {name: weight[0] for name, weight in NETWORK.layout.unflatten(W0[:1]).items()}


def net(outputs=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, outputs)).double()


def short(network=None, weights=None, train=(X, Y), **arguments):
    return follow(net() if network is None else network, weights, train, **{"alpha": 1.0, "t_end": 0.1, **arguments})


@pytest.mark.parametrize(
    "train",
    [
        (X.numpy(), Y.numpy()),
        (X.numpy()[::-1][::-1], Y.int().tolist()),
        (X.numpy().astype(">f8"), Y.numpy().astype("i1")),
        (X.tolist(), Y.float()),
        (pd.DataFrame(X.numpy()), pd.Series(Y.numpy())),
        (X.to_sparse(), Y.clone().requires_grad_()),
    ],
)
def test_arrays_of_every_kind_give_the_same_trajectory(train):
    expected, found = short(test=X[:2]), short(train=train, test=np.asarray(X)[:2])
    assert torch.equal(found.F_train, expected.F_train)
    assert torch.equal(found.F_test, expected.F_test)
    assert torch.equal(found.kernel(-1, X.numpy()), expected.kernel(-1, X))


def test_weights_may_be_arrays_and_stay_as_they_are():
    mine = {name: weight.numpy().copy() for name, weight in WEIGHTS.items()}
    found, expected = short(NETWORK, mine), short(NETWORK, WEIGHTS)
    assert torch.equal(found.w, expected.w)
    assert all(np.array_equal(mine[name], weight) for name, weight in WEIGHTS.items())


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", ">i4", "i8"])
def test_classes_of_every_integer_dtype(dtype):
    found = short(net(3), train=(X, CLASSES.astype(dtype)))
    assert torch.equal(found.F_train, short(net(3), train=(X, torch.from_numpy(CLASSES))).F_train)


def test_losses_and_dynamics_by_name():
    assert torch.equal(short(loss="mse").F_train, short(loss=Mse()).F_train)
    assert torch.equal(short(dynamics="adam", t_end=3).w, short(dynamics=Adam(), t_end=3).w)
    assert (short(dynamics="linearised").kernel(0, X) == short(dynamics="linearised").kernel(-1, X)).all()


def test_real_labels_are_fit_by_the_loss_that_takes_them():
    y = X[:, 0]
    named, made = (follow(net(), None, (X, y), alpha=1.0, loss=loss) for loss in ("mse", SquaredError()))
    assert named.outcome is Outcome.CONVERGED
    assert (named.F_train[-1] - y).abs().max() < 0.01  # the loss's margin_tol
    assert torch.equal(named.F_train, made.F_train)


def test_a_class_of_pytorch_is_the_optimiser_of_its_name():
    how = (torch.optim.RMSprop, CustomOptimiser(target="torch.optim.RMSprop"))
    given, named = (follow(net(), None, (X, Y), alpha=1.0, t_end=3.0, dynamics=dynamics) for dynamics in how)
    assert not torch.equal(given.w[-1], given.w[0])
    assert torch.equal(given.w, named.w)


def test_the_loss_is_that_for_the_labels():
    """Classes are no real labels, and ±1 are both."""
    loss = Mse(1.1)
    assert Given.of(net(3), None, (X, CLASSES), loss).loss is loss
    assert Given.of(net(), None, (X, Y), loss).loss is loss
    assert Given.of(net(), None, (X, X[:, 0]), Mse()).loss == SquaredError()
    assert Given.of(net(), None, (X, Y), SquaredError()).loss == SquaredError()


A = {"a": torch.ones(4).double()}


def linear(weights, x):
    return torch.tanh(x @ weights["a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"alpha": alpha}, "alpha=.*finite number greater than 0") for alpha in (-1, 0, math.nan, math.inf, "1")),
        *(({"t_end": t}, "t_end=.*finite number greater than 0") for t in (-1, 0, math.nan)),
        ({"times": [1, math.nan]}, r"times\[1\]=nan: must be a finite number of at least 0"),
        ({"times": [-1]}, r"times\[0\]=-1"),
        ({"times": 1.0}, "times=1.0: must be a list of numbers"),
        ({"test": X[:0]}, r"test patterns have the shape \(0, 4\)"),
        ({"test": (X, Y)}, "test patterns are a pair; give the patterns alone"),
        ({"test": X.float()}, "torch.float32 and torch.float64 are their dtypes"),
        ({"train": X}, "train must be two"),
        ({"train": (X[:, 0], Y)}, r"training patterns have the shape \(6,\)"),
        ({"train": (X[:, :0], Y)}, r"training patterns have the shape \(6, 0\)"),
        ({"train": (X / 0, Y)}, "training patterns have infinities or NaN"),
        ({"train": (X * 1j, Y)}, "training patterns are complex"),
        ({"train": (X, Y * 1j)}, "labels are complex"),
        ({"train": (X, Y > 0)}, "labels must be .1 or −1 for a network with one output"),
        ({"train": (X, ["cat", "dog"] * 3)}, "labels are no numbers"),
        ({"train": (X, X[:, 0])}, "with loss=mse"),
        ({"train": (X, X[:, 0]), "loss": Mse(target=1.1)}, "loss.target=1.1: these labels are the targets themselves"),
        ({"train": (X, Y * math.nan), "loss": "mse"}, "finite"),
        ({"train": (X, CLASSES), "network": net(2)}, "labels must be the classes 0 … 1"),
        ({"train": (X, Y > 0), "network": net(2)}, "labels must be the classes 0 … 1"),
        ({"train": (X, CLASSES), "network": net(3), "loss": "hinge"}, "is for one output; with these labels use"),
        ({"loss": "cross_entropy"}, "loss=cross_entropy: is for classes"),
        ({"loss": "msee"}, "loss=msee: there is no such option.*Did you mean mse"),
        ({"loss": Mse}, "loss=Mse: must be an object of"),
        ({"loss": SoftHinge(beta=-1)}, "loss.beta=-1: must be greater than 0"),
        ({"dynamics": "adamm"}, "dynamics=adamm: there is no such option.*Did you mean adam"),
        ({"dynamics": Adam}, "dynamics=Adam: must be an object of"),
        ({"dynamics": Adam(lr=-1)}, "dynamics.lr=-1"),
        ({"dynamics": 3}, "dynamics=int: must be an object of"),
        ({"network": linear, "weights": {"a": A["a"] * math.nan}}, "entries of weight 'a' have infinities or NaN"),
        ({"network": linear, "weights": [A["a"]]}, "weights are list; they must be a dictionary"),
        ({"network": linear, "weights": {"a": A["a"] * 1j}}, "weight 'a' is torch.complex128"),
        ({"network": lambda w, x: linear(w, x) / 0}, "not finite on a training pattern"),
        ({"network": NETWORK, "weights": {**WEIGHTS, "W1": WEIGHTS["W1"][:2]}}, r"weight 'W1' has the shape \(2, 7\)"),
        ({"network": NETWORK, "weights": {"W0": WEIGHTS["W0"]}}, "weight 'W1' has the shape None"),
        (
            {"network": NETWORK, "weights": WEIGHTS, "train": (normal(6, 9), Y)},
            r"of the shape \(9,\)",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(arguments, message):
    own = isinstance(arguments.get("network"), FunctionType)
    with pytest.raises((ConfigError, DataError), match=message) as raised:
        short(**{"weights": A if own else None, **arguments})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("alpha", "refused"), [(1e2, False), (1e6, True)])
def test_a_dtype_that_cannot_resolve_the_predictor_is_refused(alpha, refused):
    """As by configuration: α·ε·rms(f) at most 1e-3, where f is about 0.3 and ε = 1e-7."""
    single = {"network": net().float(), "train": (X.float(), Y.float()), "alpha": alpha}
    if not refused:
        assert short(**single).F_train.dtype == torch.float32
        return
    with pytest.raises(ConfigError, match=r"dtype=float32: at α = 1e.06 .*use dtype=float64 or a smaller α"):
        short(**single)
    with pytest.raises(ConfigError, match=r"dtype=float64: .*; use a smaller α"):
        short(alpha=1e6 * 2**29)  # as many digits less as float64 has more


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": math.nan}, "alpha=nan"),
        ({"others": [1.0, 0]}, r"others\[1\]=0"),
        ({"test": X}, "test must be two"),
        ({"test": (X[:0], None)}, r"test patterns have the shape \(0, 4\)"),
        ({"test": (X, Y[:2])}, r"labels have the shape \(2,\) for 6 patterns"),
        ({"test": (X, ["cat"] * 6)}, "labels are no numbers"),
        ({"train": (X.numpy(), None)}, "labels are no numbers"),
        ({"loss": "msee"}, "there is no such option"),
    ],
)
def test_a_regime_report_has_the_same_door(arguments, message):
    given = {"train": (X, Y), "test": (X, Y), "alpha": 1.0, **arguments}
    with pytest.raises((ConfigError, DataError), match=message):
        regime(net(), None, given.pop("train"), given.pop("test"), **given)
