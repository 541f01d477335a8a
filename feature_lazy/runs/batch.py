"""The objects that run, made from the typed configuration. Below this module nobody sees a configuration."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.core.memory import parse_bytes
from feature_lazy.data.build import build_data
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.choices import Training
from feature_lazy.dynamics.flow import NetworkFlow, members_that_pay, outputs_in_chunks
from feature_lazy.dynamics.integrate import Limits
from feature_lazy.dynamics.times import ObservationTimes
from feature_lazy.measure.moment import Setting
from feature_lazy.measure.observer import default_set
from feature_lazy.measure.quantity import plain_quantities
from feature_lazy.networks.base import Initialised
from feature_lazy.networks.initial import initial_weights
from feature_lazy.networks.layout import partly
from feature_lazy.runs.plan import asked
from feature_lazy.runs.store import Store
from feature_lazy.runs.tracking import Trackers
from feature_lazy.runs.tracking.build import build_tracking
from feature_lazy.settings.cells import Cell, cells, own_code
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import Config
from feature_lazy.settings.fitting import fitted
from feature_lazy.settings.groups import Dynamics, Loss, Observable, Prior, Regulariser
from feature_lazy.settings.observing import Observe
from feature_lazy.settings.scales import Seed, rescaled


@dataclass(frozen=True)
class Observation:
    """What is recorded, and when.

    Attributes:
        when: observation times of a member, by its natural time.
        n_test: test patterns used over time.
        default: what is observed in every run.
        also: what was chosen beside it, by name.
        asked: those of ``also`` that a stored run may lack.
    """

    when: Callable[[float], ObservationTimes]
    n_test: int
    default: list[Observable]
    also: dict[str, Observable]
    asked: set[str]

    @property
    def quantities(self) -> dict[str, dict[str, str]]:
        """What was chosen, as a manifest has it; ``QUANTITIES`` has the default set."""
        return plain_quantities(self.also)


@dataclass(frozen=True)
class Batch:
    """Cells that are trained together: same network and data, several seeds, and several α where there are.

    Attributes:
        cells: what is trained.
        content: fingerprint of the data, as they were before they were cast.
        own_weights: whether a user's own code draws the initial weights.
        seeds: how each of them begins, in the same order.
        prior: law of the scale of their outputs.
        regulariser: a term of 𝓛 beside the loss.
        dynamics: how the weights move.
        together: ``batch`` of the configuration, see ``most``.
        centred: whether F = α(f − f₀), else F = αf; or "parent", F = α(f − f₀) + F of the parent.
        dt_floor: smallest step over max(t, natural time).
        t_end: end at the latest, over the natural time; 0: none.
        precision_tol: largest α·ε·rms(f) that is accepted.
        max_steps: budget of one member.
        time_budget: budget in seconds.
        checkpoint_every: seconds between two checkpoints.
        checkpoint_margin: seconds before the end of the job at which training stops.
    """

    cells: list[Cell]
    seeds: list[Seed]
    prior: Prior
    architecture: Initialised
    dataset: Dataset
    content: Fingerprint
    own_weights: bool
    loss: Loss
    regulariser: Regulariser
    dynamics: Dynamics
    observation: Observation
    together: str
    centred: bool | str
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

    @property
    def alpha(self) -> float:
        """α of a batch whose cells have one."""
        return self.cells[0].alpha

    @property
    def most(self) -> int:
        """How many cells are followed at once at most."""
        if self.together == "1" or self.time_budget < Dynamics.time_budget:
            return len(self.cells)  # members of an ensemble; a budget of seconds is of all of them
        if self.together != "auto":
            return int(self.together)
        return members_that_pay(self.architecture, self.dataset.x_train, self.memory_limit)

    def time_scale(self, cell: Cell) -> float:
        """Natural time min(1, √h·α) of a cell's flow, in the article's t."""
        return min(1.0, rescaled(cell.alpha, self.architecture.last_fan_in))

    def times(self, cell: Cell) -> ObservationTimes:
        """When a cell is observed."""
        return self.observation.when(self.time_scale(cell))

    def w0(self, members: list[Cell]) -> Tensor:
        """Initial weights of some cells, (M, N), in the data's dtype and on its device."""
        layout = self.architecture.layout
        draw = initial_weights if self.own_weights else lambda begin, seed: begin(seed)
        drawn = [draw(partial(self.begin, cell), cell.seed) for cell in members]
        rows = [{name: weight[None] for name, weight in weights.items()} for weights in drawn]
        return torch.cat([layout.flatten(row) for row in rows]).to(self.dataset.x_train)

    def begin(self, cell: Cell, seed: int) -> dict[str, Tensor]:
        """Initial weights of a cell by name, float64: its output layer has the variance that its prior draws."""
        layout, root = self.architecture.layout, math.sqrt(self.prior.scale(seed))
        scaled = {*layout.last} - layout.added
        begins = self.seed(cell)
        weights = begins.begin(replace(self, cells=[cell], seeds=[begins]), seed)
        return {name: root * weight if name in scaled else weight for name, weight in weights.items()}

    def seed(self, cell: Cell) -> Seed:
        """How a cell begins."""
        ids = [one.run_id for one in self.cells]
        return self.seeds[ids.index(cell.run_id)]

    def before(self, members: list[Cell]) -> Callable[[Tensor], Tensor]:
        """F of the parents of some cells, by patterns (P, d) → (M, P·C)."""
        like, layout = self.dataset.x_train, self.architecture.layout
        terms = [
            [(c, layout.flatten({k: torch.from_numpy(v.copy())[None] for k, v in w.items()}).to(like)) for c, w in each]
            for each in (self.seed(cell).predictor() for cell in members)
        ]

        def predictor(x: Tensor) -> Tensor:
            outputs = [
                sum(c * outputs_in_chunks(self.architecture, w, x, self.memory_limit) for c, w in each)
                for each in terms
            ]
            return torch.cat([torch.as_tensor(one) for one in outputs])

        return predictor

    def flow(self, members: list[Cell], w0: Tensor) -> NetworkFlow:
        """The gradient flow of some cells, with their initial weights w0 (M, N)."""
        flow = NetworkFlow(
            self.architecture,
            self.dataset.x_train,
            self.dataset.y_train,
            self.loss,
            alpha=w0.new_tensor([cell.alpha for cell in members]),
            w0=w0,
            memory_limit=self.memory_limit,
            centred=self.centred is not False,
            regulariser=self.regulariser,
        )
        data = self.dataset
        if self.dynamics.validates and data.x_valid is not None and data.y_valid is not None:
            flow.valid = NetworkFlow(
                self.architecture,
                data.x_valid,
                data.y_valid,
                self.loss,
                alpha=flow.alpha,
                w0=w0,
                memory_limit=self.memory_limit,
                centred=flow.centred,
            )
        return flow.after(self.before(members)) if self.centred == "parent" else flow

    def setting(self, flow: NetworkFlow, training: Training, w0: Tensor, members: list[Cell]) -> Setting:
        """What stays along the training of these members, for whoever observes them."""
        n_test = min(self.observation.n_test, len(self.dataset.x_test))
        return Setting(flow, training.model, self.dataset, w0, n_test, [cell.seed for cell in members])

    def limits(self, training: Training, members: list[Cell]) -> Limits:
        """Floors and budgets of some cells made ready for training."""
        scale = training.dt.new_tensor([self.time_scale(cell) for cell in members])
        return Limits(
            self.dt_floor,
            scale,
            t_end=scale * self.t_end if self.t_end else training.t_end,
            max_steps=self.max_steps,
            time_budget=self.time_budget,
            rest=training.rest,
        )


def build(config: Config, others: Sequence[Config] = ()) -> Batch:
    """Check a configuration and make the batch that it describes.

    Args:
        config: what is trained.
        others: configurations that differ from it in ``alpha.value`` and the seed alone, for the same batch.

    Raises:
        ConfigError: a value that is refused.
        DataError: data that are not what they should be.
    """
    every = [config, *others]
    for one in every:
        validate(one)
    members = [cell for one in every for cell in cells(one)]
    dynamics = config.dynamics
    dtype, device = getattr(torch, config.dtype), _device(config.device)
    data = build_data(config)
    dataset = data.to(dtype, device)
    observe = _observe(config, dataset)
    network = partly(config.architecture.build(config, dataset), dynamics.train)
    return Batch(
        cells=members,
        seeds=[seed for one in every for seed in one.seed.each()],
        prior=config.prior,
        architecture=network,
        dataset=dataset,
        content=data.fingerprint,
        own_weights=any(
            own_code(option)
            for one in every
            for option in (one.architecture, one.activation, one.parametrisation, one.prior, one.seed)
        ),
        loss=build_loss(config, dataset),
        regulariser=config.regulariser,
        dynamics=dynamics,
        observation=Observation(
            when=observe.when,
            n_test=observe.n_test,
            default=default_set(observe.kernel, observe.weights),
            also=observe.also,
            asked=asked(observe),
        ),
        together=config.batch,
        centred=config.centred,
        dt_floor=dynamics.smallest_step,
        t_end=dynamics.end,
        precision_tol=dynamics.precision_tol,
        max_steps=dynamics.max_steps,
        time_budget=dynamics.time_budget,
        memory_limit=parse_bytes(config.memory_limit),
        checkpoint_every=config.checkpoint_every,
        checkpoint_margin=config.checkpoint_margin,
        store=Store(config.output_dir),
        tracker=build_tracking(config.tracking, Store(config.output_dir), members),
    )


def _observe(config: Config, data: Dataset) -> Observe:
    """What is recorded, with defaults that fit the test patterns that there are.

    Raises:
        ConfigError: what was written for more of them.
    """
    if len(data.x_test) >= config.dataset.n_test:
        return config.observe
    there = fitted(replace(config, dataset=replace(config.dataset, n_test=len(data.x_test))))
    validate(there)
    return there.observe


def build_loss(config: Config, data: Dataset) -> Loss:
    """ℓ(F, y) for the labels of these data.

    Raises:
        ConfigError: a loss for other labels.
    """
    if config.dataset.own_labels:
        what = "real" if config.labels.real else "classes" if data.n_outputs > 1 else "one"
        if problems := list(config.loss.misfits(what, config.labelled_by)):
            raise ConfigError("\n".join(problems))
    loss = config.loss.for_labels(config.labels)
    if loss.own_code():  # looked at when it is first asked
        loss(torch.zeros(1, 2 * data.n_outputs, dtype=torch.float64), data.y_train[:2])
    return loss


def _device(name: str) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={name}: PyTorch sees no CUDA device here; use device=cpu.")
    return device
