"""Option ``architecture=snnk``: layers of fixed random features and trained weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from feature_lazy.networks.parametrisation import NTK
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.systems.scalable_kernels.network import Snnk


@option("architecture", "snnk")
class SnnkOption(Architecture):
    """z = WΦ(x)/√m in place of φ(Wx/√d), with m random features Φ that stay (arXiv:2310.13225).

    bundle=full merges all layers: f = WΦ(… Φ(x))/√m is linear in its weights, m = width.h of each output, and lazy at
    every α.
    """

    depth: int = key(1, "L, layers of features", ge=1)
    features: int = key(0, "m, features of a layer; 0: width.h, as it is with bundle=full", ge=0)
    map: str = key(
        "relu", "what features are of: max(0, z), or sin(z) by universal random features", choices=("relu", "urf_sin")
    )
    bundle: str = key("none", "whether layers are merged into one", choices=("none", "full"))
    orthogonal: bool = key(False, "whether rows of G are orthogonal, as many as can be")

    start: str = key(
        "random",
        "where W begins: N(0, 1), or Φ of the weights of an ordinary layer, which it then stands for",
        choices=("random", "ffl"),
        later=True,
    )
    seed: int = key(-1, "of the features, for all runs alike; -1: each run has its own", ge=-1, later=True)

    one_width = True
    unread: ClassVar = {"activation": "has the features of architecture.map in its place"}

    @property
    def hidden_layers(self) -> int:
        return self.depth

    @property
    def no_limit(self) -> str:
        return "" if self.bundle == "full" else "its limit at fixed m is not known here; use architecture.bundle=full"

    def problems(self, config: Config) -> Iterator[str]:
        if self.bundle == "full" and self.features:
            yield (
                f"architecture.features={self.features}: with architecture.bundle=full there are no hidden units "
                "beside features; say by width.h how many, and leave it out."
            )
        if self.bundle == "full" and self.start != "random":
            yield (
                f"architecture.start={self.start}: with architecture.bundle=full there is no layer beside features "
                "that could stand for an ordinary one; leave it out."
            )
        if config.parametrisation.exponents is not NTK:
            yield f"parametrisation={config.parametrisation.kind}: architecture=snnk is scaled as ntk alone; use ntk."

    def build(self, config: Config, data: Dataset) -> Snnk:
        from feature_lazy.systems.scalable_kernels.network import Snnk

        return Snnk(
            data.input_dim,
            config.h,
            self.features or config.h,
            depth=self.depth,
            function=self.map,
            bundled=self.bundle == "full",
            orthogonal=self.orthogonal,
            start=self.start,
            seed=None if self.seed < 0 else self.seed,
            n_outputs=data.n_outputs,
        )

    @classmethod
    def smallest(cls) -> list[str]:
        return ["architecture.depth=2", "architecture.features=4", "architecture.map=urf_sin"]
