"""Several outputs of a network whose layers are not known."""

import torch

from feature_lazy import follow
from feature_lazy.dynamics.choices import FrozenKernel
from feature_lazy.dynamics.losses import CrossEntropy
from feature_lazy.dynamics.methods import method
from tests.dynamics.test_class_flow import NETWORK, W0, C, X, Y


def test_any_network_with_three_outputs_is_frozen_as_its_layers_are():
    """By passes and the Jacobian, without knowing the layers."""

    def function(weights, x):
        return NETWORK.apply({name: w[None] for name, w in weights.items()}, x)[0].reshape(len(x), C)

    weights = {name: w[0] for name, w in NETWORK.layout.unflatten(W0[:1]).items()}
    for how in ("rk32", "tangent"):
        options = {"alpha": 1.0, "dynamics": FrozenKernel(method(how, 1e-2)), "loss": CrossEntropy(), "t_end": 1.0}
        layered, generic = (follow(net, weights, (X, Y), **options) for net in (NETWORK, function))
        assert layered.F_train[-1].norm() > 0.1
        # Only the first step differs, which is found from the fan-in: the same to the tolerance.
        torch.testing.assert_close(generic.F_train[-1], layered.F_train[-1], rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(generic.kernel(-1, X), layered.kernel(-1, X))
