"""Explain a key, an option, a measured quantity or an outcome: explain dynamics=sgd, lr, kernel/change, t_end."""

import argparse

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.terminal import say

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
    import difflib

    from feature_lazy.dynamics.outcome import Outcome
    from feature_lazy.measure.quantities import QUANTITIES
    from feature_lazy.measure.quantity import Quantity, quantity_of
    from feature_lazy.settings import registry
    from feature_lazy.settings.cells import COLUMNS
    from feature_lazy.settings.config import ALSO
    from feature_lazy.settings.help import help_text

    if word in list(Outcome):
        return f"{word}, an outcome: {Outcome(word).meaning}."
    also = {name: option() for name, option in registry.options(ALSO).items() if name != "custom"}
    known = {**QUANTITIES, **{column: one for option in also.values() for column, one in option.quantities.items()}}
    found = quantity_of(word, known)
    if found != Quantity(word):
        by = next((name for name, one in also.items() if quantity_of(word, one.quantities) != Quantity(word)), "")
        where = f"; {found.where}" if found.where else ""
        return f"{word}, measured: {found.label}{where}{f'; with observe/also=[{by}]' if by else ''}."
    try:
        return help_text([word]).rstrip()
    except ConfigError as error:
        made = {**COLUMNS, **MADE}
        if word in made:
            return f"{word}, a column of every run: {made[word]}."
        near = difflib.get_close_matches(word, [*known, *made, *Outcome], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"{word}: no key, option, quantity or outcome has this name.{hint}") from error
