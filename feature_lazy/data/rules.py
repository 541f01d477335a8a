"""Rules that join patterns in classes with their labels, for images and drawn sets alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from feature_lazy.core.errors import DataError

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config
    from feature_lazy.settings.groups import Data


def listed(values: Sequence[object]) -> str:
    """A list as it is written on a command line."""
    return f"[{','.join(map(str, values))}]"


def asked_for(data: Data) -> str:
    """The keys that say how many patterns are used, with their values."""
    sizes = f"dataset.n_train={data.n_train} and dataset.n_test={data.n_test}"
    return f"{sizes} and dataset.n_valid={data.n_valid}" if data.n_valid else sizes


def size_problems(config: Config, names: Sequence[int]) -> Iterator[str]:
    """Sizes that cannot be balanced, for these classes."""
    unit = config.labels.unit(names)
    for key in ("n_train", "n_test", "n_valid"):
        size = getattr(config.dataset, key)
        if unit and size % unit:
            what = "even" if unit == 2 else f"a multiple of {unit}"
            yield f"dataset.{key}={size}: must be {what}, so that the labels are balanced."


def label_problems(config: Config, chosen_by: str, names: Sequence[int]) -> Iterator[str]:
    """Classes that the labels cannot use; ``chosen_by`` is the key that offers them, with its value."""
    labels = config.labels
    try:
        labels.in_use(names)
    except DataError as error:
        reason = str(error).rstrip(".")
        yield f"{chosen_by} and labels={labels.kind}{labels.chosen_by}: {reason[0].lower()}{reason[1:]}."
