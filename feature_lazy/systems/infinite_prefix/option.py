"""Option ``architecture=prefix``: attention of which a prefix is trained, or what takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import TYPE_CHECKING, ClassVar

from feature_lazy.networks.parametrisation import NTK
from feature_lazy.networks.sequences import SequenceArchitecture, Tokens
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.systems.infinite_prefix.network import Prefix

MOST = 50_000
"""Features of a token: 8 numbers to the degree 10 are 43 758."""


@option("architecture", "prefix")
class PrefixOption(SequenceArchitecture):
    """Attention whose queries, keys and values stay, and whose prefix of h vectors is trained (arXiv:2406.14036)."""

    form: str = key(
        "stylised",
        "stylised: a pattern is a query of the prefix alone; tokens: tokens beside it; ntk: Z and k in its place",
        choices=("stylised", "tokens", "ntk"),
    )
    temperature: float = key(1.0, "τ: scores are q·k/τ√d", gt=0)
    degree: int = key(0, "of form=ntk's features, monomials of e^{q·k}; 0: elu + 1, as in the authors' code", ge=0)

    one_width = True
    unread: ClassVar = {"activation": "has the exponentials of attention in its place"}

    def problems(self, config: Config) -> Iterator[str]:
        if config.parametrisation.exponents is not NTK:
            yield f"parametrisation={config.parametrisation.kind}: architecture=prefix is scaled as ntk alone; use ntk."
        for name in {"stylised": ("tokens", "degree"), "tokens": ("degree",)}.get(self.form, ()):
            if value := getattr(self, name):
                yield f"architecture.{name}={value}: architecture.form={self.form} has none; leave it out."
        cut = [] if self.form == "stylised" else [*super().problems(config)]
        yield from cut
        if self.degree % 2:
            yield (
                f"architecture.degree={self.degree}: the exponential's series is below 0 somewhere if it ends on an "
                "odd degree, and weights of attention are not; use an even one."
            )
        if self.form == "ntk" and config.dataset.shape is not None and not cut:
            size = self.read(config.dataset.shape).size
            if (r := comb(size + self.degree, self.degree)) > MOST:
                yield (
                    f"architecture.degree={self.degree}: a token of {size} numbers has {r} monomials, more than "
                    f"{MOST}; use a lower degree, or smaller tokens by architecture.tokens."
                )

    def build(self, config: Config, data: Dataset) -> Prefix:
        from feature_lazy.systems.infinite_prefix.network import NtkAttention, Prefix, Stylised

        tokens = Tokens(1, data.input_dim) if self.form == "stylised" else self.tokens_of(data)
        common = (tokens, config.h, self.temperature, data.n_outputs)
        if self.form == "ntk":
            return NtkAttention(*common, degree=self.degree)
        return (Stylised if self.form == "stylised" else Prefix)(*common)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["architecture.form=ntk", "architecture.tokens=4"]
