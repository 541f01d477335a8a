"""What training costs on this machine, measured on the first steps of a job; nothing is stored."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from feature_lazy.core.memory import within_memory
from feature_lazy.dynamics.integrate import integrate, start
from feature_lazy.dynamics.messages import Advanced
from feature_lazy.dynamics.times import GivenTimes
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.observer import Observer
from feature_lazy.runs.batch import Batch, build
from feature_lazy.settings.config import Config

BUDGET, STEPS = 0.2, 6
"""Seconds for steps that are measured, and how many are enough."""


@dataclass(frozen=True)
class StepCost:
    """Seconds of what a job is made of.

    Attributes:
        gradient: of one gradient-equivalent of one member, with what a step computes beside it.
        observation: of one observation of all members.
    """

    gradient: float
    observation: float


def step_cost(config: Config) -> StepCost:
    """Measure a job.

    Raises:
        FeatureLazyError: it cannot be trained.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    with torch.no_grad(), within_memory():
        return _measured(build(config))


def _measured(batch: Batch) -> StepCost:
    w0 = batch.w0(batch.cells)
    flow = batch.flow(batch.cells, w0)
    training = batch.dynamics.prepare(flow, w0)
    setting = batch.setting(flow, training, w0, batch.cells)
    observer = Observer(setting, batch.observation.default, batch.observation.also)
    member = torch.arange(len(w0), device=w0.device)
    begun = time.perf_counter()
    observer.observe(Moment(setting, member, w0, torch.zeros_like(training.dt)))
    observation = time.perf_counter() - begun
    state = start(training.system, training.method.stepper, training.y0, training.dt, 0)
    times = [GivenTimes([])] * len(w0)
    events = integrate(training.system, training.method, state, times, [], batch.limits(training, batch.cells))
    *_, (seconds, flops) = _steps(events)
    gradients = flops / flow.flops.evaluate
    return StepCost(seconds / gradients if gradients else 0.0, observation)


def _steps(events: "Iterator[object]") -> Iterator[tuple[float, float]]:
    """Seconds and flops of all members before, and after each of the first steps."""
    begun, first = time.perf_counter(), 0.0
    yield 0.0, 0.0
    for number, event in enumerate(one for one in events if isinstance(one, Advanced)):
        flops, seconds = float(event.state.flops.sum()), time.perf_counter() - begun
        first = first if number else flops
        yield seconds, flops - first
        if number == STEPS or seconds > BUDGET:
            return
