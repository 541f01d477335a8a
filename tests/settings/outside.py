"""Options of a user's own, one for each group, in a module of a folder outside the repository."""

MODULE = '''
"""Options of a user's own."""
from __future__ import annotations

from dataclasses import dataclass

from feature_lazy.settings.groups import Activation, Architecture, Labels, Loss, Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.data.synthetic import Gaussian
from feature_lazy.dynamics.optimisers import Optimiser
from feature_lazy.runs.tracking.options import Tracked


@option("architecture", "own_network")
class OwnNetwork(Architecture):
    """A fully connected network of one hidden layer, whatever its depth."""

    twice: bool = key(False, "twice as wide")

    @property
    def hidden_layers(self):
        return 1

    def last_fan_in(self, width):
        return super().last_fan_in(width) * (2 if self.twice else 1)

    def build(self, config, data):
        from feature_lazy.networks.base import shared
        from feature_lazy.networks.fully_connected import FullyConnected

        return FullyConnected(data.input_dim, [self.last_fan_in(config.width)], **shared(config, data))


@option("activation", "own_activation")
class OwnActivation(Activation):
    """a·arctan(slope·z)."""

    slope: float = key(1.0, "slope at 0", gt=0)

    def shape(self, z):
        return (self.slope * z).arctan()


@option("loss", "own_loss")
class OwnLoss(Loss):
    """ln(1 + e^{s·(1 − m)})/s."""

    s: float = key(3.0, "s", gt=0)

    @property
    def curvature(self):
        return self.s / 4

    def __call__(self, outputs, labels):
        import torch

        return torch.nn.functional.softplus(1 - outputs * labels, self.s)


@option("labels", "own_labels")
class OwnLabels(Labels):
    """The parity with its sign turned."""

    turned: bool = key(True, "whether it is turned")

    def in_use(self, names):
        return sorted(names)

    def values(self, classes, names, targets):
        import numpy as np

        return (-1.0 if self.turned else 1.0) * (2.0 * (np.searchsorted(names, classes) % 2) - 1.0)


@option("dataset", "own_data")
class OwnData(Gaussian):
    """The class is the sign of one coordinate."""

    coordinate: int = key(0, "which", ge=0)

    def label(self, x, seed):
        return (x[:, self.coordinate] > 0).astype(int), None


@option("dynamics", "own_optimiser")
class OwnOptimiser(Optimiser):
    """SGD with momentum."""

    lr: float = key(0.05, "learning rate", gt=0)
    momentum: float = key(0.5, "μ", ge=0)

    slots = 1

    def update(self, y, gradient, k, scale, flow):
        import torch

        w, v = y.chunk(2, dim=1)
        v = self.momentum * v - self.lr * scale[:, None].to(y) * gradient
        return torch.cat([w + v, v], dim=1)


@option("dynamics", "own_dynamics")
class OwnDynamics(Dynamics):
    """Gradient flow by the embedded Runge–Kutta pair."""

    tolerance: float = key(0.1, "of a step", gt=0)

    smallest_step = 1e-10

    def prepare(self, flow, w0):
        from feature_lazy.dynamics.choices import GradientFlow
        from feature_lazy.dynamics.methods import method

        return GradientFlow(method("rk32", self.tolerance)).prepare(flow, w0)


@option("tracking", "own_tracker")
class OwnTracker(Tracked):
    """A line for each call, in a file beside the results."""

    name: str = key("calls", "of the file")

    def maker(self, root):
        return lambda: Lines(root.parent / self.name)


class Lines:
    def __init__(self, path):
        self.path = path

    def _write(self, *words):
        with self.path.open("a") as file:
            print(*words, file=file)

    def start(self, cell, rows):
        self._write("start", cell.run_id, len(rows))

    def log(self, cell, step, row):
        self._write("log", cell.run_id, step)

    def finish(self, cell, summary):
        self._write("finish", cell.run_id, summary["outcome"])
'''

CHOICES = {
    "architecture": ("architecture=own_network", "architecture.twice=true"),
    "activation": ("activation=own_activation", "activation.slope=2"),
    "loss": ("loss=own_loss", "loss.s=4"),
    "labels": ("labels=own_labels", "labels.turned=false"),
    "dataset": ("dataset=own_data", "dataset.coordinate=1"),
    "optimiser": ("dynamics=own_optimiser", "dynamics.momentum=0.25"),
    "dynamics": ("dynamics=own_dynamics", "dynamics.tolerance=0.05"),
    "tracking": ("tracking=own_tracker", "tracking.name=heard"),
}
"""Of each kind: how the option is chosen, and one of its keys set."""
