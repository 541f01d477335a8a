"""Priors on the scale of outputs: options of the group ``prior``, from which the output layer has its variance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.core.streams import stream
from feature_lazy.settings.groups import Prior
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config


@option("prior", "fixed")
class FixedScale(Prior):
    """s = 1: weights of the output layer are of variance 1, and wide networks a Gaussian process."""

    def scale(self, seed: int) -> float:
        return 1.0


@option("prior", "inverse_gamma")
class InverseGamma(Prior):
    """s ~ InvGamma(a, b), a scale of f for each network: together they are a Student-t process (arXiv:2107.01408).

    It has 2a degrees of freedom and the scale matrix (b/a)Σ. All other weights, and the directions of these, are those
    of prior=fixed.
    """

    a: float = key(2.0, "shape; the variance of f is b/(a − 1), infinite from a = 1 down", ge=0.1)
    b: float = key(2.0, "scale of s", gt=0)

    def scale(self, seed: int) -> float:
        return self.b / float(stream(seed, "prior").standard_gamma(self.a))

    def problems(self, config: Config) -> Iterator[str]:
        if config.seed.kind == "from_run":
            yield "prior=inverse_gamma: seed=from_run starts from weights that are drawn already; leave prior out."
