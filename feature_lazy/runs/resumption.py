"""What a run that goes on makes anew is what it was begun with: data, initial weights, and the network itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from feature_lazy.core.errors import StoreError
from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.dynamics.choices import Training
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.state import State

NAMES = {"data": "data", "weights": "initial weights", "outputs": "outputs of its network at the start"}
"""Fingerprints, as a manifest and a checkpoint have them, and what they are of."""


def inputs(data: Fingerprint, weights: Tensor, f: Tensor) -> dict[str, Fingerprint]:
    """Fingerprints of what a run is begun with.

    Args:
        data: that of the data.
        weights: initial weights, (N,).
        f: f(w₀) on the training set, (P·C,), which rounds as its dtype and its batch do.
    """
    drawn = Fingerprint.of(weights, tolerance=torch.finfo(weights.dtype).eps ** 0.5)
    return {"data": data, "weights": drawn, "outputs": Fingerprint.of(f, tolerance=_apart(f), grid=_apart(f))}


def _apart(f: Tensor) -> float:
    """How far, relative to f, two networks are at least apart: far more than rounding."""
    return torch.finfo(f.dtype).eps ** 0.25


class DifferentError(StoreError):
    """A stored state that belongs to something else than what there is now."""

    def __init__(self, path: Path, what: str) -> None:
        """Name the run's directory, and what differs."""
        super().__init__(
            f"The run {path} was begun with other {what} than there are now, so that what is added would be of another "
            "run; bring back what it was begun with, or remove this directory to train it anew."
        )


def check_inputs(path: Path, begun: Mapping[str, str], now: Mapping[str, Fingerprint]) -> None:
    """Hold the fingerprints of a checkpoint or a manifest against those of now.

    Those from before there were any have none, and later ones had names alone.

    Raises:
        DifferentError: one differs.
    """
    if differing := [NAMES[name] for name, one in now.items() if name in begun and not one.agrees(begun[name])]:
        raise DifferentError(path, " and ".join(differing))


def check_outputs(state: State, training: Training, flow: NetworkFlow, paths: Sequence[Path]) -> None:
    """Hold the outputs that states were stored with against those of now: the network, at the weights of now.

    Both round in their own way, on two machines: in f the difference is some ε of f, and α times that in F; the kernel
    of the end of a training has the rounding of all of its steps. What is another network differs by far more than √√ε.

    Args:
        state: states to go on from.
        training: what they are states of.
        flow: the network's.
        paths: directory of each state's run.

    Raises:
        DifferentError: the network is another function, or its initial weights or patterns are others.
    """
    alpha, f0 = flow.alpha[state.member], flow.initial[state.member]
    now = training.system.outputs(state.y, state.member)
    moved = _largest(now - state.outputs) / alpha
    size = torch.maximum(_largest(f0), _largest(state.outputs) / alpha)
    for path, same in zip(paths, (moved <= _apart(now) * size).tolist(), strict=True):
        if not same:
            raise DifferentError(path, "outputs of its network at the weights that are stored")


def _largest(values: Tensor) -> Tensor:
    return values.abs().amax(1)
