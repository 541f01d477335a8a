"""Explain a key, an option, a measured quantity or an outcome: explain dynamics=sgd, lr, kernel/change, t_end."""

import argparse

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import meant

MADE = {
    "outcome": "how the run ended, such as converged; explain knows each of them",
    "kernel_change": "‖Θ − Θ₀‖/‖Θ₀‖ on the whole test set, or on the probe set where that was not measured",
    "test/error_min": "the least test error over the run's time, in the summary that W&B shows",
}
"""Columns that tables and trackers make of what a run has."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("words", nargs="+", metavar="WORD", help="a key, group, option, column or outcome")


def call(options: argparse.Namespace) -> int:
    """Explain.

    Raises:
        ConfigError: a word that is none of them.
    """
    for word in options.words:
        say(explained(word))
    return 0


def explained(word: str) -> str:
    """What a word means.

    Raises:
        ConfigError: nothing has this name; the nearest are named.
    """
    from feature_lazy.dynamics.outcome import Outcome
    from feature_lazy.measure.quantities import recordable, who_records
    from feature_lazy.settings.cells import COLUMNS
    from feature_lazy.settings.help import help_text

    if word in list(Outcome):
        return f"{word}, an outcome: {Outcome(word).meaning}."
    if recorded := who_records(word):
        found, by = recorded
        where = f"; {found.where}" if found.where else ""
        return f"{word}, measured: {found.label}{where}{f'; with observe/also=[{by}]' if by else ''}."
    try:
        return help_text([word]).rstrip()
    except ConfigError as error:
        made = {**COLUMNS, **MADE}
        if word in made:
            return f"{word}, a column of every run: {made[word]}."
        hint = meant(word, [*recordable(), *made, *Outcome])
        raise ConfigError(f"{word}: no key, option, quantity or outcome has this name.{hint}") from error
