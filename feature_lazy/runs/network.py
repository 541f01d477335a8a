"""Networks of stored runs, with their data and weights: what is computed of runs that are trained already.

Neither how a run began nor how it was followed is made again, so that nothing of it has to be where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import parse_bytes
from feature_lazy.data.build import build_data
from feature_lazy.data.prepare import Dataset
from feature_lazy.networks.base import Initialised
from feature_lazy.networks.layout import partly
from feature_lazy.runs.reading import Run
from feature_lazy.runs.resumption import check_inputs
from feature_lazy.settings.cells import refusal
from feature_lazy.settings.config import Config
from feature_lazy.settings.schema import from_plain


@dataclass(frozen=True)
class StoredNetwork:
    """The network of a run.

    Attributes:
        run: the run.
        config: what it was trained with.
        architecture: f(w, x), with the weights that were trained.
        data: training, test and validation set, as they were trained on.
        memory_limit: bytes, the run's own.
    """

    run: Run
    config: Config
    architecture: Initialised
    data: Dataset
    memory_limit: float

    def weights(self, index: int = -1) -> Tensor:
        """w at one of the observations that have weights, 0 the start and −1 the end: (1, N).

        Raises:
            StoreError: the run has none, or is damaged.
        """
        return self.flat(self.run.weights(index))

    def flat(self, named: Mapping[str, np.ndarray]) -> Tensor:
        """Weights by name, as runs have them, as one flat state (1, N)."""
        rows = {name: torch.from_numpy(weight.copy())[None] for name, weight in named.items()}
        return self.architecture.layout.flatten(rows).to(self.data.x_train)


def stored_config(science: Mapping[str, Any], data: Path | None = None) -> Config:
    """The configuration of a stored run.

    Args:
        science: ``Run.config``.
        data: where the files of its data lie, of those that have any: no run names a file that would be opened.

    Raises:
        ConfigError: see ``schema.from_plain``.
    """
    config = from_plain(science)
    if data is None or not config.dataset.of_files:
        return config
    return replace(config, dataset=replace(config.dataset, **{"path": str(data)}))


def stored_network(run: Run, data: Path | None = None) -> StoredNetwork:
    """Put the network of a run together again, on the CPU.

    Args:
        run: the run.
        data: see ``stored_config``.

    Raises:
        ConfigError: a network or data of a user's own code, which a folder names and which is not run here.
        DataError: data that are not there, or not what they were.
        StoreError: a run of other data than there are now.
    """
    config = stored_config(run.config, data)
    if why := refusal(config):
        raise ConfigError(f"{run.path}: {why}.")
    patterns = build_data(config)
    check_inputs(run.path, run.inputs, {"data": patterns.fingerprint})
    patterns = patterns.to(getattr(torch, config.dtype), torch.device("cpu"))
    network = partly(config.architecture.build(config, patterns), config.dynamics.train)
    return StoredNetwork(run, config, network, patterns, parse_bytes(config.memory_limit))
