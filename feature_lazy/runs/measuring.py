"""Record observables of runs that are trained already, from the weights that are stored with them."""

from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.observer import Observer, Row
from feature_lazy.measure.quantity import plain_quantities
from feature_lazy.runs.batch import build
from feature_lazy.runs.measured import END, Measured, apart, write
from feature_lazy.runs.plan import TRAIN_ANEW, names, stored_also
from feature_lazy.runs.reading import Run, load_run
from feature_lazy.runs.resumption import check_inputs
from feature_lazy.runs.series import WEIGHTS
from feature_lazy.runs.store.open_run import writing
from feature_lazy.settings.cells import cells
from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.registry import find
from feature_lazy.settings.schema import from_plain


@torch.no_grad()
def measure(run: Run, also: Mapping[str, Observable]) -> Run:
    """Record more observables of a complete run, as its training would have, and return it read anew.

    Numbers over time are recorded at the observations that have weights, with each observable's own cadence; the run's
    own files stay as they are. An observable that was measured before is replaced.

    Args:
        run: a complete run with weights.
        also: observables by name, as ``observe.also`` has them.

    Raises:
        ConfigError: an observable that this run's network or data do not allow, that fails, or whose columns the run
            has already; or a run that this source makes another one of.
        StoreError: a run without weights, a damaged one, or one that cannot be written.
    """
    if not run.done or WEIGHTS not in run.kinds:
        raise StoreError(f"The run {run.path} has no weights to measure from: {TRAIN_ANEW}.")
    wanted = apart(also)
    if recorded := sorted(wanted.keys() & names(stored_also(run))):
        raise ConfigError(f"{run.path}: {', '.join(recorded)} was recorded while it was trained; leave it out.")
    for found in _Bench(run, also).measured(wanted):
        with writing(run.path):
            write(run.path, run.manifest["sha256"], found)
    return load_run(run.path)


class _Bench:
    """One run, put together again as it was trained, without the training."""

    def __init__(self, run: Run, also: Mapping[str, Observable]) -> None:
        """Build data, network and dynamics.

        Raises:
            ConfigError: see ``measure``.
            StoreError: weights at t = 0 that are not those that this source draws, or other data.
        """
        self.run = run
        batch = build(_config(run, also))
        self.architecture, self.like = batch.architecture, batch.dataset.x_train
        w0 = batch.w0(batch.cells)
        self.numbers = run.weight_numbers
        if 0 in self.numbers and not torch.equal(w0, self._weights(0)):
            raise StoreError(
                f"{run.path}: its weights at t = 0 are not those that this machine draws for its seed, so that what is "
                "measured against t = 0 would be of another network; measure it where it was trained."
            )
        check_inputs(run.path, run.inputs, {"data": batch.content})
        flow = batch.flow(batch.cells, w0)
        self.setting = batch.setting(flow, batch.dynamics.prepare(flow, w0), w0, batch.cells)

    def measured(self, wanted: Mapping[str, Observable]) -> list[Measured]:
        """What each observable says."""
        run = self.run
        own = {column for name in wanted if name in run.measured for column in run.measured[name].columns}
        taken = {*run.columns, *run.summary, *(name for row in run.rows for name in row)} - own
        observers = {name: Observer(self.setting, [], {name: one}, taken) for name, one in wanted.items()}
        rows: dict[str, dict[int, Row]] = {name: {} for name in wanted}
        arrays: dict[str, dict[str, np.ndarray]] = {name: {} for name in wanted}
        summaries: dict[str, Row] = {name: {} for name in wanted}
        last = len(run.rows) - 1
        for number in self.numbers:
            moment = self._moment(number)
            due = None if number == last else [number]
            for name, observer in observers.items():
                [row], [series] = observer.observe(moment, due), observer.series(moment, due)
                rows[name] |= {number: row} if row else {}
                arrays[name] |= {f"{number}/{column}": array.cpu().numpy() for column, array in series.items()}
                if number == last:
                    final, more = observer.end(moment)
                    course = [{**run.rows[n], **rows[name].get(n, {})} for n in self.numbers]
                    summaries[name] = row | final | observer.over(course)
                    arrays[name] |= {f"{END}/{column}": array[0].cpu().numpy() for column, array in more.items()}
        return [
            Measured(name, asdict(one), rows[name], summaries[name], plain_quantities({name: one}), arrays[name])
            for name, one in wanted.items()
        ]

    def _moment(self, number: int) -> Moment:
        w, t = self._weights(number), self.run.rows[number]["t"]
        outcome, last = self.run.summary.get("outcome"), number == len(self.run.rows) - 1
        failed = last and outcome is not None and Outcome(outcome).broken
        return Moment(
            self.setting,
            torch.zeros(1, dtype=torch.long, device=w.device),
            w,
            torch.tensor([t], dtype=torch.float64, device=w.device),
            failed=failed,
        )

    def _weights(self, number: int) -> Tensor:
        """Weights at an observation, (1, N)."""
        named = {name: torch.from_numpy(array[None].copy()) for name, array in self.run.weights_at(number).items()}
        return self.architecture.layout.flatten(named).to(self.like)


def _config(run: Run, also: Mapping[str, Observable]) -> Config:
    """The configuration that the run was trained with, with these observables, untracked.

    Raises:
        ConfigError: with this source the run would have another id.
    """
    plain = run.manifest.get("resolved")
    config = from_plain(plain, trusted=True) if plain else None
    if config is None or cells(config)[0].run_id != run.run_id:
        raise ConfigError(
            f"{run.path}: this source makes another run of that configuration (feature-lazy status says why), so that "
            "it cannot be measured; check out the source that its manifest names, or train it anew."
        )
    return replace(
        config,
        observe=replace(config.observe, also=dict(also)),
        tracking=find("tracking", "none")(),
        device=config.device if torch.cuda.is_available() else "cpu",
        output_dir=str(run.path.parent.parent),
    )
