"""How far the weights go, and how fast the preactivations set out."""

import math
from dataclasses import dataclass

from torch import Tensor

from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.quantities.fit import Scalars, prefixed
from feature_lazy.networks.base import Layered
from feature_lazy.networks.layout import Layout
from feature_lazy.networks.preactivations import layer_speeds
from feature_lazy.settings.groups import Observable


def weight_change(layout: Layout, w: Tensor, w0: Tensor) -> Scalars:
    """‖w‖, ‖w − w₀‖/‖w₀‖ in total and, as ``W0/change`` and so on, for each layer, for w, w₀ (M, N).

    A weight that begins at 0, such as a bias, changes in units of one that begins as N(0, 1): by ‖w‖/√(its size).
    """

    def change(now: Tensor, then: Tensor) -> Tensor:
        before = then.flatten(1).norm(dim=1)
        unit = before.masked_fill(before == 0, math.sqrt(then[0].numel()))
        return (now - then).flatten(1).norm(dim=1) / unit

    now, then = layout.unflatten(w), layout.unflatten(w0)
    layers = {f"{name}/change": change(now[name], then[name]) for name in now}
    return {"norm": w.norm(dim=1), "change": change(w, w0), **layers}


@dataclass
class Told(Observable):
    """What the dynamics says of its states beside their weights, if it says anything."""

    def at(self, moment: Moment) -> Scalars:
        return dict(moment.told)


@dataclass
class Weights(Observable):
    """Norm and change of the weights, in total and of each layer."""

    def at(self, moment: Moment) -> Scalars:
        layout = moment.setting.flow.architecture.layout
        return prefixed("weights", weight_change(layout, moment.weights, moment.w0))


@dataclass
class Preactivations(Observable):
    """Preactivations of the initial weights, and their speed under gradient flow (App. D, Fig. 11)."""

    def end(self, moment: Moment) -> Scalars:
        """See ``Observable.end``; nothing of a network whose layers are not known, or that is linearised."""
        setting = moment.setting
        if not (isinstance(setting.model, NetworkModel) and isinstance(setting.model.architecture, Layered)):
            return {}
        net, limit, x = setting.model.architecture, setting.model.memory_limit, moment.probe(setting.n_test)
        velocity, _ = setting.flow.evaluate(moment.w0, moment.member)
        return prefixed("preactivations", layer_speeds(net, moment.w0, velocity, x, limit))


@dataclass
class StoredWeights(Observable):
    """The weights themselves, by name."""

    def series(self, moment: Moment) -> Scalars:
        weights = moment.setting.flow.architecture.layout.unflatten(moment.weights)
        return {f"weights/{name}": weight for name, weight in weights.items()}
