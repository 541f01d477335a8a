"""From the typed configuration to the objects that run. Below this module nobody sees a configuration."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import parse_bytes
from feature_lazy.data.build import build_dataset
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics import GivenTimes, Limits, LogTimes, Method, ObservationTimes, losses, method
from feature_lazy.dynamics.choices import (
    Dynamics,
    FrozenKernel,
    GradientFlow,
    MinibatchDynamics,
    MomentumDynamics,
    Training,
)
from feature_lazy.measure.probe import KernelCadence
from feature_lazy.networks import Initialised
from feature_lazy.networks.build import loss as make_loss
from feature_lazy.networks.build import network as make_network
from feature_lazy.runs.build_tracking import build_tracking
from feature_lazy.runs.store import Store
from feature_lazy.runs.tracking import Trackers
from feature_lazy.settings import config as schema
from feature_lazy.settings.cells import Cell, alpha, cells
from feature_lazy.settings.checks import validate

DT_FLOOR = 1e-12
"""For dynamics without a step to choose."""


@dataclass(frozen=True)
class Observation:
    """What is recorded, and when.

    Attributes:
        times: observation times of every member.
        n_test: test patterns used over time.
        kernel: what is recorded of the kernel over time.
        final_kernels: whether kernels on the whole train and test sets are compared at the end.
    """

    times: ObservationTimes
    n_test: int
    kernel: KernelCadence
    final_kernels: bool


@dataclass(frozen=True)
class Experiment:
    """One batch of cells that are trained together: same α and width, several seeds.

    Attributes:
        cells: what is trained.
        dynamics: how the weights move.
        alpha: α, the same for all.
        centred: whether F = α(f − f₀); else F = αf.
        time_scale: natural time min(1, √h·α) of the flow, in the article's t.
        dt_floor: smallest step over max(t, time_scale).
        t_end: end at the latest, over time_scale; 0: none.
        precision_tol: largest α·ε·rms(f) that is accepted.
        max_steps: budget of one member.
        time_budget: budget in seconds.
        checkpoint_every: seconds between two checkpoints.
        checkpoint_margin: seconds before the end of the job at which training stops.
    """

    cells: list[Cell]
    architecture: Initialised
    dataset: Dataset
    loss: losses.Loss
    dynamics: Dynamics
    observation: Observation
    alpha: float
    centred: bool
    time_scale: float
    dt_floor: float
    t_end: float
    precision_tol: float
    max_steps: int
    time_budget: float
    memory_limit: float
    checkpoint_every: float
    checkpoint_margin: float
    store: Store
    tracker: Trackers

    def w0(self, members: list[Cell]) -> Tensor:
        """Initial weights of some cells, (E, N), in the data's dtype and on its device."""
        layout = self.architecture.layout
        rows = [{k: v[None] for k, v in self.architecture.init(cell.seed).items()} for cell in members]
        return torch.cat([layout.flatten(row) for row in rows]).to(self.dataset.x_train)

    def limits(self, training: Training) -> Limits:
        """Floors and budgets of a batch of cells made ready for training."""
        scale = torch.full_like(training.dt, self.time_scale)
        return Limits(
            self.dt_floor,
            scale,
            t_end=scale * self.t_end if self.t_end else training.t_end,
            max_steps=self.max_steps,
            time_budget=self.time_budget,
        )


def build(config: schema.Config) -> Experiment:
    """Check a configuration and make the experiment that it describes.

    Raises:
        ConfigError: a value that is refused.
        DataError: data that are not what they should be.
    """
    validate(config)
    dynamics, observe = config.dynamics, config.observe
    flow = dynamics if isinstance(dynamics, schema.Flow) else None
    dtype, device = getattr(torch, config.dtype), _device(config.device)
    dataset = build_dataset(config.dataset, config.labels).to(dtype, device)
    network = make_network(config, dataset)
    scale = min(1.0, alpha(config) * math.sqrt(network.last_fan_in))
    return Experiment(
        cells=cells(config),
        architecture=network,
        dataset=dataset,
        loss=make_loss(config, dataset),
        dynamics=_dynamics(dynamics),
        observation=Observation(_times(observe, scale), observe.n_test, _cadence(observe), observe.kernel.final),
        alpha=alpha(config),
        centred=config.centred,
        time_scale=scale,
        dt_floor=flow.dt_floor if flow else DT_FLOOR,
        t_end=flow.t_end if flow else 0.0,
        precision_tol=dynamics.precision_tol,
        max_steps=dynamics.max_steps,
        time_budget=dynamics.time_budget,
        memory_limit=parse_bytes(config.memory_limit),
        checkpoint_every=config.checkpoint_every,
        checkpoint_margin=config.checkpoint_margin,
        store=Store(config.output_dir),
        tracker=build_tracking(config.tracking, Store(config.output_dir), cells(config)),
    )


def _dynamics(config: schema.Dynamics) -> Dynamics:
    match config:
        case schema.GradientFlow():
            how = _method(config, eps_gradient=config.eps_gradient, eps_output=config.eps_output)
            return GradientFlow(how, config.dt_init)
        case schema.MomentumFlow():
            return MomentumDynamics(_method(config), config.c, config.kappa, config.dt_init)
        case schema.FrozenKernel():
            time = {"start": 0.0, "end": math.inf, "time": config.time}[config.at]
            return FrozenKernel(_method(config), time, config.dt_init)
        case schema.Minibatch():
            block = config.check_every or None
            authors = config.units == "authors"
            eps = config.eps if isinstance(config, schema.Adam) else 0.0
            common = {"authors_units": authors, "batch": config.batch, "seed": config.batch_seed}
            return MinibatchDynamics(config.kind, config.lr, eps, updates=config.updates, block=block, **common)
    raise ConfigError(f"dynamics={config.kind}: there is no such dynamics.")


def _method(config: schema.Flow, **rule: float) -> Method:
    smooth = isinstance(config, schema.GradientFlow) and config.controller == "smooth"
    return method(config.stepper, config.tolerance, smooth=smooth, **rule)


def _device(name: str) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={name}: PyTorch sees no CUDA device here; use device=cpu.")
    return device


def _cadence(observe: schema.Observe) -> KernelCadence:
    kernel = observe.kernel
    return KernelCadence(kernel.probe, kernel.every, kernel.layers, kernel.eigenvalues, kernel.matrices)


def _times(config: schema.Observe, scale: float) -> ObservationTimes:
    return GivenTimes(config.times) if config.kind == "times" else LogTimes(config.per_decade, config.first * scale)
