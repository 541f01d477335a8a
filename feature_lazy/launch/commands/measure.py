"""Record more observables of runs that are trained already, from their stored weights.

Observables and their keys are given as to train.py, such as observe/also=[cka] observe.also.cka.probe=64.
It records at the observations that have weights (observe.weights=ends or all), beside each run, whose own files stay.
It builds the networks that DIR names, as training does: use it on folders that are yours.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.selection import folder_argument, select, where_argument
from feature_lazy.runs.plan import TRAIN_ANEW, names, stored_also
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.series import WEIGHTS
from feature_lazy.runs.survey import RunState, survey

if TYPE_CHECKING:
    from feature_lazy.runs.reading import Run
    from feature_lazy.settings.groups import Observable

KEYS = ("observe/also=", "observe.also.", "options=")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="observe/also=[…], and keys of observables")
    where_argument(parser)


def call(options: argparse.Namespace) -> int:
    """Measure all complete runs; 1 if there is one that could not be measured.

    Raises:
        ConfigError: observables that are refused, or something else of a configuration.
        StoreError: it is no results folder.
    """
    found = survey(Path(options.folder))
    chosen = [entry.run for entry in select(found, RunState.DONE, options.where) if entry.run is not None]
    also = _observables(options.overrides)

    from feature_lazy.launch.progress_bar import progress_bar
    from feature_lazy.runs.measuring import measure

    problems: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with progress_bar("measure") as progress:
        for number, run in enumerate(chosen, start=1):
            lacking = {name: one for name, one in also.items() if not _has(run, name, one)}
            if not lacking:
                counts["had"] += 1
            elif WEIGHTS not in run.kinds:
                counts["without"] += 1
            else:
                try:
                    measure(load_run(run.path), lacking)  # read anew: what it reads is not kept for all runs
                    counts["measured"] += 1
                except FeatureLazyError as error:
                    problems[str(error)] += 1
            progress(number, len(chosen))
    if counts["without"]:
        problems[f"{counts['without']} of {len(chosen)} runs have no weights to measure from: {TRAIN_ANEW}."] += 1
    for problem in problems:
        say(problem, error=True)
    say(f"{counts['measured']} of {len(chosen)} runs measured, {counts['had']} had it already")
    return 1 if problems else 0


def _observables(overrides: list[str]) -> "dict[str, Observable]":
    """What is to be recorded, a user's own each by itself.

    Raises:
        ConfigError: observables that are refused, or none, or something else of a configuration.
    """
    from feature_lazy.runs.measured import apart
    from feature_lazy.settings.overrides import composed

    if others := [word for word in overrides if not word.lstrip("+").startswith(KEYS)]:
        raise ConfigError(
            f"{' '.join(others)}: a run stays as it was trained; give observables alone: observe/also=[…], their keys "
            "observe.also.NAME.KEY=VALUE, and options=[…] for modules of your own."
        )
    if found := apart(composed(overrides).observe.also):
        return found
    raise ConfigError("Nothing is to be measured; name observables, such as observe/also=[cka].")


def _has(run: "Run", name: str, one: "Observable") -> bool:
    """Whether a run has an observable: from its training, or measured with these keys."""
    if name in names(stored_also(run)):
        return True
    # A user's own code may have changed since.
    return name in run.measured and not one.own_code() and run.measured[name].keys == vars(one)
