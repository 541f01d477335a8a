"""Some units of the last hidden layer: what they say of all others, and of the classes."""

from typing import NamedTuple

import torch
from torch import Tensor

from feature_lazy.core.margins import margins
from feature_lazy.core.streams import stream
from feature_lazy.measure.moment import Moment, Setting
from feature_lazy.networks.base import Layered

RIDGE = 1e-8
DEAD = 1e-10
"""Variance over the mean of all below which a unit, or what is left of it, is constant."""
EXPLAINED, UNCORRELATED = 0.98, 0.1
"""What R² and correlation of residuals a clone has at least, and at most."""


class Layer(NamedTuple):
    """The last hidden layer on patterns, and how it is read.

    Attributes:
        units: u, (M, P, h).
        readout: rows of what is multiplied with u, (M, C, h).
        rest: what is added, (M, P, C).
    """

    units: Tensor
    readout: Tensor
    rest: Tensor

    def outputs(self, chosen: Tensor) -> Tensor:
        """f of some units alone, (M, P·C)."""
        return (self.units[..., chosen] @ self.readout[..., chosen].mT + self.rest).flatten(1)


class Chunks(NamedTuple):
    """Means over chunks of one size, (M,) each, and whether they are clones of the layer."""

    test_error: Tensor
    r2: Tensor
    residual_correlation: Tensor
    clone: Tensor


def last_layer(setting: Setting, w: Tensor, x: Tensor) -> Layer | None:
    """At weights w (M, N) on patterns x (P, d); None of a network whose last layer is not dense, or is not shown."""
    net = setting.flow.architecture
    if not isinstance(net, Layered):
        return None
    params = net.layout.unflatten(w)
    f, taps = net.taps(params, x)
    tap = next((one for one in taps if one.name in net.layout.last and one.inputs.dim() == 3), None)
    if tap is None or tap.window is not None or tap.inputs.shape[2] != params[tap.name].shape[2]:
        return None
    readout = params[tap.name] * tap.scale
    return Layer(tap.inputs, readout, f.unflatten(1, (len(x), -1)) - tap.inputs @ readout.mT)


def chunk_measures(moment: Moment, size: int, draws: int) -> Chunks:
    """See ``Representations``: of chunks of so many units."""
    setting, data = moment.setting, moment.setting.data
    sets = {"train": (data.x_train, data.y_train), "test": (data.x_test, data.y_test)}
    now, then = (
        {name: last_layer(setting, w, x) for name, (x, _) in sets.items()} for w in (moment.weights, moment.w0)
    )

    def error(name: str, chosen: Tensor) -> Tensor:
        layer, first = now[name], then[name]
        assert layer is not None
        assert first is not None  # ``begin`` has seen it
        f = moment.predictor(layer.outputs(chosen), first.outputs(chosen))
        return (margins(f, sets[name][1]) <= 0).to(moment.w0).mean(1)

    layer = now["test"]
    assert layer is not None
    units = layer.units - layer.units.mean(1, keepdim=True)
    h = units.shape[2]
    every = torch.arange(h, device=units.device)
    found = []
    for draw in range(draws):
        order = torch.from_numpy(stream(0, "chunk", str(draw)).permutation(h)).to(units.device)
        chosen = order[:size]
        left = residual(units, chosen)
        r2 = 1 - left.square().sum((1, 2)) / units.square().sum((1, 2))
        found.append(
            torch.stack([error("test", chosen), r2, correlation(left, units, order[size:]), error("train", chosen)])
        )
    test, r2, correlated, train = torch.stack(found).mean(0)
    # NaN: nothing is left of any other unit.
    clone = (r2 > EXPLAINED) & ~(correlated >= UNCORRELATED) & (train <= 0) & (error("train", every) <= 0)
    return Chunks(test, r2, correlated, clone)


def residual(units: Tensor, chosen: Tensor) -> Tensor:
    """What the ridge regression of centred units (M, P, h) on some of them leaves."""
    some = units[..., chosen]
    gram = some.mT @ some + RIDGE * torch.eye(len(chosen), dtype=units.dtype, device=units.device)
    return units - some @ torch.linalg.solve(gram, some.mT @ units)


def correlation(left: Tensor, units: Tensor, others: Tensor) -> Tensor:
    """Mean |correlation| of residuals of pairs of other units, less those that are constant: (M,); NaN of no pair."""
    part = left[..., others]
    alive = part.square().mean(1) > DEAD * units.square().mean((1, 2))[:, None]
    part = torch.where(alive[:, None, :], part / part.norm(dim=1, keepdim=True), 0)
    count = alive.sum(1).to(units)
    return ((part.mT @ part).abs().sum((1, 2)) - count) / (count * (count - 1))
