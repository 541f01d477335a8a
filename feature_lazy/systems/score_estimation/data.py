"""Data ``score``: a pattern under noise, and how long it has been, to guess the pattern from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.data.rules import listed
from feature_lazy.data.synthetic import Law
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Drawn


@option("dataset", "score")
class Score(Law):
    """X₀ from a mixture of Gaussians, guessed from X_t = e^{−t}X₀ + √(1 − e^{−2t}) ε and t: pattern (X_t, t − 1).

    Denoising score matching as regression (arXiv:2401.15604): labels=regression learns X₀, whose expectation at x and t
    is f*(x, t), and the score of X_t is (e^{−t}f* − x)/(1 − e^{−2t}). Components are equally likely, and t is uniform.
    What is learnt from is X₀, noise and all; test targets are f*, so that ``test/excess`` is the excess risk. The class
    is the component.
    """

    dim: int = key(1, "d of X₀: one, since regression has one output", ge=1)
    components: list[float] = key([-1.0, 1.0], "means of the components, ascending")
    sigma: float = key(0.3, "standard deviation of each component", gt=0)
    t_min: float = key(0.05, "least time t of the noise", gt=0)
    t_max: float = key(2.0, "largest time t of the noise", gt=0)

    @property
    def n_classes(self) -> int:
        """One class for each component."""
        return len(self.components)

    @property
    def classes_by(self) -> str:
        return f"dataset.components={listed(self.components)}"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim + 1,)

    def law_problems(self) -> Iterator[str]:
        if self.dim != 1:
            yield (
                f"dataset.dim={self.dim}: E[X₀|X_t] has as many numbers as X₀, and labels=regression has one output; "
                "it must be 1."
            )
        if len(self.components) < 2 or list(self.components) != sorted(set(self.components)):
            yield f"dataset.components={listed(self.components)}: must be two or more numbers, ascending."
        if self.t_min >= self.t_max:
            yield f"dataset.t_min={self.t_min:g}: must be below dataset.t_max={self.t_max:g}."

    def sample(self, rng: np.random.Generator, n: int, seed: int) -> Drawn:
        classes = rng.integers(0, self.n_classes, size=n)
        clean = np.asarray(self.components)[classes] + self.sigma * rng.standard_normal(n)
        t, noise = rng.uniform(self.t_min, self.t_max, n), rng.standard_normal(n)
        x = np.exp(-t) * clean + np.sqrt(-np.expm1(-2 * t)) * noise
        return np.stack([x, t - 1], axis=1), classes, clean

    def expected(self, x: np.ndarray) -> np.ndarray:
        """f* = E[X₀|X_t]: m + (aσ²/S)(x − am) of each component, weighed by its density N(x; am, S).

        a = e^{−t} and S = a²σ² + 1 − a².
        """
        place, a = x[:, 0, None], np.exp(-(x[:, 1, None] + 1))
        means, spread = np.asarray(self.components), a**2 * self.sigma**2 + 1 - a**2
        off = place - a * means
        logs = -np.square(off) / (2 * spread)
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        each = means + a * self.sigma**2 / spread * off
        return (weights * each).sum(axis=1) / weights.sum(axis=1)
