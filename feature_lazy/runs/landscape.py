"""The curvature of the loss at the end of a stored run, from its weights."""

from pathlib import Path

import torch

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.runs.batch import build_loss
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.plan import TRAIN_ANEW
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.series import WEIGHTS
from feature_lazy.settings.cells import alpha
from feature_lazy.settings.config import Config


@torch.no_grad()
def stored_curvature(
    path: Path, of: str = "train", patterns: int | None = None, place: Path | None = None
) -> tuple[Curvature, Config]:
    """𝓛 (eq. 7, without a regulariser) at the end of a run, and what the run was trained with.

    Args:
        path: folder of a complete run with weights.
        of: whose patterns make 𝓛, those of ``train`` or of ``test``.
        patterns: the first ones; all if omitted.
        place: where the files of its data lie, if it has any.

    Raises:
        ConfigError: a run that is not the network of its weights, or more patterns than there are.
        StoreError: it is not there, not complete, or has no weights.
        DataError: data that are not there, or not what they were.
    """
    run = load_run(path)
    if not run.done or WEIGHTS not in run.kinds:
        raise StoreError(f"The run {path} has no weights to draw from: {TRAIN_ANEW}.")
    if run.config.get("dynamics", {}).get("kind") == "frozen_kernel":
        raise ConfigError(f"{path} is a linearised network, which is no f of its weights; draw one that was trained.")
    if run.config.get("centred", True) == "parent":
        raise ConfigError(f"{path}: its F goes on from a parent's (centred=parent), whose weights are not with it.")
    stored = stored_network(run, place)
    config, data, network = stored.config, stored.data, stored.architecture
    if config.activation.by_surrogate:
        raise ConfigError(
            f"{path}: its loss is piecewise constant in the weights, and surrogates have no Hessian of it."
        )
    x, y = (data.x_train, data.y_train) if of == "train" else (data.x_test, data.y_test)
    if patterns is not None and not 0 < patterns <= len(x):
        raise ConfigError(f"--patterns {patterns}: the {of} set of {path} has {len(x)}; take from 1 to that many.")
    x, y = x[:patterns], y[:patterns]
    w = stored.weights()
    if not bool(w.isfinite().all()):
        raise ConfigError(f"{path} ended with weights that are not finite; there is no loss around them.")
    first = network.apply(network.layout.unflatten(stored.weights(0)), x)
    f0 = torch.zeros_like(first) if config.centred is False else first
    scale = w.new_full((1,), alpha(config))
    loss = build_loss(config, data)
    return Curvature(network, w, x, y, loss, scale, f0, stored.memory_limit), config
