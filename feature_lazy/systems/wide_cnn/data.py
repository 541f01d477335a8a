"""Data ``multicircle``: patches on circles, and a random function of some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from feature_lazy.core.streams import stream
from feature_lazy.data.rules import listed
from feature_lazy.data.synthetic import NoisyTargets
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

MODES, HIGHEST, MOST = 2**16, 256, 4
"""Modes of a teacher at most, its highest wave number, and the patches that so many modes are enough for."""
BLOCK = 2**22
"""Complex numbers that are held at a time while a teacher is asked: 64 MB."""
TYPICAL = 1024
"""Angles at which a teacher is asked for its median."""


@option("dataset", "multicircle")
class Multicircle(NoisyTargets):
    """p patches xᵢ uniform on circles |xᵢ|² = 2, and f* a Gaussian process of those that are local (arXiv:2208.01003).

    E f*(x)f*(x′) = c(r), r the distance of the local patches on unit circles: e^{−r}, or (1 + √3r)e^{−√3r}. It is a
    Fourier series that the data seed draws, so that its parts along the modes of a kernel are known; E f*² = 1. The
    class is whether f* is above its median.
    """

    dim: int = key(2, "d of a patch: a circle has two", ge=2)
    patches: int = key(2, "p, patches of a pattern", ge=1)
    local: list[int] = key([0], "patches that the target depends on, from 0", ge=0)
    teacher: str = key(
        "laplace", "c(r), whose draws are rough, or smoother by one order", choices=("laplace", "matern")
    )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim * self.patches,)

    def law_problems(self) -> Iterator[str]:
        if self.dim != 2:
            yield f"dataset.dim={self.dim}: a circle lies in the plane; it must be 2."
        chosen = set(self.local)
        if not 1 <= len(chosen) <= MOST or len(chosen) < len(self.local) or max(chosen) >= self.patches:
            yield (
                f"dataset.local={listed(self.local)}: must be one to {MOST} different patches of dataset.patches="
                f"{self.patches}, counted from 0."
            )

    def directions(self, seed: int) -> np.ndarray:
        return np.concatenate([np.eye(2 * self.patches)[2 * i : 2 * i + 2] for i in self.local])

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return on_circles(rng.uniform(0, 2 * np.pi, (n, self.patches)))

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        angles = np.arctan2(x[:, 1::2], x[:, ::2])[:, self.local]
        target = at(modes(self.teacher, len(self.local), seed), angles)
        return (target > _median(self.teacher, len(self.local), seed)).astype(np.int64), target


def on_circles(angles: np.ndarray) -> np.ndarray:
    """Patterns of patches at these angles (n, p), (n, 2p)."""
    return np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(angles), -1)


def distance(angles: Sequence[np.ndarray]) -> np.ndarray:
    """Between points on unit circles whose angles differ by these, each of any shape that broadcasts."""
    return np.sqrt(sum((2 - 2 * np.cos(one) for one in angles), np.zeros(())))


def grid(side: int, circles: int) -> list[np.ndarray]:
    """Angles of a grid of so many points on each circle, an array for each that broadcasts."""
    return list(np.meshgrid(*[2 * np.pi * np.arange(side) / side] * circles, indexing="ij", sparse=True))


@lru_cache(maxsize=16)
def modes(teacher: str, circles: int, seed: int) -> np.ndarray:
    """c of f*(θ) = Re Σ_k c_k e^{ik·θ}, by wave numbers −K … K of each circle, (2K + 1, …).

    Real and imaginary parts are N(0, λ_k), with λ the Fourier series of the covariance, its sum over these modes 1.
    """
    most = min(HIGHEST, (round(MODES ** (1 / circles)) - 1) // 2)
    r = distance(grid(4 * most, circles))
    covariance = np.exp(-r) if teacher == "laplace" else (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r)
    spectrum = np.fft.fftshift(np.fft.fftn(covariance).real.clip(min=0))
    low = spectrum[(slice(most, 3 * most + 1),) * circles]
    parts = stream(seed, "multicircle", "teacher").standard_normal((2, *low.shape))
    return np.sqrt(low / low.sum()) * (parts[0] + 1j * parts[1])


def at(series: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Re Σ_k c_k e^{ik·θ} at angles θ (n, circles): (n,)."""
    most = len(series) // 2
    size = max(1, BLOCK * len(series) // series.size)
    found = []
    for start in range(0, len(angles), size):
        waves = np.exp(1j * angles[start : start + size, :, None] * np.arange(-most, most + 1))
        left = np.tensordot(waves[:, 0], series, 1)
        for circle in range(1, angles.shape[1]):
            left = np.einsum("nk,nk...->n...", waves[:, circle], left)
        found.append(np.real(left))
    return np.concatenate(found)


@lru_cache(maxsize=64)
def _median(teacher: str, circles: int, seed: int) -> float:
    angles = stream(seed, "multicircle", "median").uniform(0, 2 * np.pi, (TYPICAL, circles))
    return float(np.median(at(modes(teacher, circles, seed), angles)))
