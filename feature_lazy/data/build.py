"""The data of a configuration, held against themselves and against those that are asked for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from torch import Tensor

from feature_lazy.core.drawn import drawn
from feature_lazy.core.errors import DataError
from feature_lazy.settings.cells import own_code

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config


def build_data(config: Config) -> Dataset:
    """The data of a configuration, in float64 on the CPU; a user's own are made twice.

    Raises:
        DataError: data that are missing or not what they should be, that differ from one time to the next, or that are
            not those of ``dataset.content``.
    """
    made: list[Dataset] = []

    def draw() -> dict[str, Tensor]:
        made.append(config.labels.labelled(config.dataset))
        found = {f.name: getattr(made[-1], f.name) for f in dataclasses.fields(made[-1])}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    own = [*own_code(config.dataset), *own_code(config.labels)]
    if own:
        drawn(
            draw,
            DataError,
            f"dataset={config.dataset.kind}: the data of {' and '.join(own)}",
            "draw them from a generator of a seed of their own, such as dataset.seed in dataset.kwargs.",
        )
    else:
        draw()
    data, wanted = made[0], config.dataset.content
    if wanted and not config.dataset.of_files and not data.fingerprint.agrees(wanted):
        raise DataError(
            f"dataset.content={wanted}: the data have changed since, they are {data.fingerprint.name} now; bring the "
            "old ones back, or leave the key out to train on those of now."
        )
    return data
