"""What the spectrum of a tree's kernel on circles foretells of regression: Fourier modes, all of a torus.

Kernel and uniform patterns do not change when circles are turned or mirrored, so that modes are products of waves, one
for each patch, and wave numbers that differ by signs have one eigenvalue: arrays here have 0, 1, … for each patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from scipy.fft import dctn

from feature_lazy.kernels.omniscient import risk
from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.systems.wide_cnn.data import on_circles
from feature_lazy.systems.wide_cnn.network import PatchTree

ENTRIES, MOST = 2**18, 512
"""Eigenvalues at most, and of one patch."""


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of Θ∞ on circles.

    Attributes:
        eigenvalues: by wave numbers of each patch, (K + 1, …).
        counts: modes that each stands for, of the same shape.
    """

    eigenvalues: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, network: PatchTree) -> "Spectrum":
        """By a cosine transform of the kernel on a grid of 2K points on each circle."""
        patches = network.tokens.number
        most = min(MOST, round(ENTRIES ** (1 / patches))) - 1
        # Only differences of angles count: those of half of the patches are the first pattern's, others the second's.
        first = [patch < patches / 2 for patch in range(patches)]
        one, other = (_turned(most, [patch is here for patch in first]) for here in (True, False))
        kernel = limit_kernels(network, one, other).ntk.numpy().reshape((most + 1,) * patches)
        sides = np.full(most + 1, 2.0)
        sides[[0, -1]] = 1
        found = np.asarray(dctn(kernel, type=1)) / (2 * most) ** patches
        return cls(found, reduce(np.multiply.outer, [sides] * patches))

    def error(self, n: int, series: np.ndarray, local: Sequence[int]) -> float:
        """Mean squared error of regression on n patterns, of the target with this series of some patches.

        Raises:
            ValueError: see ``omniscient.risk``.
        """
        power = self.power(series, local)
        shape = (self.eigenvalues, power / self.counts, self.counts)
        eigenvalues, coefficients, counts = (one.ravel() for one in shape)
        return risk(eigenvalues, coefficients, n, counts=counts).test

    def power(self, series: np.ndarray, local: Sequence[int]) -> np.ndarray:
        """Mean squares of a target's parts, those of all modes that an entry stands for together, (K + 1, …)."""
        power = np.abs((series + np.conj(np.flip(series))) / 2) ** 2  # of the real part
        for axis in range(power.ndim):
            power = np.moveaxis(power, axis, 0)
            middle = len(power) // 2
            folded = power[middle:].copy()
            folded[1:] += power[:middle][::-1]
            power = np.moveaxis(folded, 0, axis)
        most = min(len(power), len(self.eigenvalues))
        found = np.zeros_like(self.eigenvalues)
        place = tuple(slice(most) if patch in local else 0 for patch in range(found.ndim))
        # The series has its circles in the order of ``local``.
        found[place] = power[(slice(most),) * power.ndim].transpose(np.argsort(local))
        return found


def _turned(most: int, turns: Sequence[bool]) -> torch.Tensor:
    """Patterns whose patches are turned by π·k/K, k = 0 … K, or stay, in the order of their indices."""
    angles = [np.pi * np.arange(most + 1) / most if one else np.zeros(1) for one in turns]
    every = np.stack(np.meshgrid(*angles, indexing="ij"), axis=-1)
    return torch.from_numpy(on_circles(every.reshape(-1, len(turns))))
