"""Baseline ``dkm``: the deep kernel machine, a Gaussian process whose kernel has learnt from the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.kernels.deep_machine import Machine
    from feature_lazy.networks.fully_connected import FullyConnected
    from feature_lazy.study.baselines.kernels import KernelSet

FACTORS = 6
"""(P + P_test)² numbers held at a time, beside P² for each layer."""


@option("baseline", "dkm")
class DeepKernelMachine(Baseline):
    """The mean of F where the Gram matrices of hidden layers have learnt, as far as ν lets them (arXiv:2108.13097).

    They are those of the preactivations of layers 2 … L, and at ν = ∞ Σ∞ is the kernel. Its kernel is infinite_nngp, of
    fully connected networks without random biases, whose activation has a kernel in closed form.
    """

    nu: float = key(10.0, "ν, what a layer's prior weighs against the labels; inf: nothing is learnt", gt=0)
    ridge: float = key(1e-2, "s², variance of the noise, over the mean diagonal of the kernel", gt=0)

    def machine(self, kernels: KernelSet, targets: Tensor) -> Machine:
        """What is learnt on the training set.

        Raises:
            ConfigError: a kernel that has no layers that learn.
            ValueError: an activation or patterns that it cannot be done with.
        """
        from feature_lazy.kernels.deep_machine import learnt, prior_kernel
        from feature_lazy.study.baselines.kernels import linear

        net = _network(kernels)
        noise = self.ridge * float(kernels.train_diagonal.mean())
        inputs, layers = linear(kernels.x_train.double(), None), len(net.widths) - 1
        return learnt(prior_kernel(net.activation), inputs, targets, layers=layers, nu=self.nu, noise=noise)

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        from feature_lazy.kernels.description import cka
        from feature_lazy.study.baselines.kernels import linear

        patterns = torch.cat([kernels.x_train, kernels.x_test]).double()
        if FACTORS * 8.0 * len(patterns) ** 2 > kernels.memory_limit:
            raise ConfigError(f"dkm: the kernel of {len(patterns)} patterns does not fit memory; raise memory_limit.")
        machine = self.machine(kernels, task.targets)
        y = task.targets.double().reshape(kernels.n, -1)
        aligned = cka(machine.kernel, y @ y.mT)
        scalars = {"alignment": float(aligned), "change": machine.changes[-1]}
        return Prediction(machine.predict(linear(patterns, None), task.targets), scalars=scalars)


def _network(kernels: KernelSet) -> FullyConnected:
    """The network whose layers learn.

    Raises:
        ConfigError: there is none.
    """
    from feature_lazy.networks.fully_connected import FullyConnected

    net = kernels.network
    if net is None:
        raise ConfigError("dkm: its layers are those of Σ∞; take --kernel infinite_nngp")
    if not isinstance(net, FullyConnected) or net.bias * net.bias_std:
        raise ConfigError("dkm: it is of fully connected networks without random biases; take krr or gp")
    if len(net.widths) < 2:
        raise ConfigError("dkm: one hidden layer has no Gram matrix that learns; take runs of architecture.depth=2")
    return net
