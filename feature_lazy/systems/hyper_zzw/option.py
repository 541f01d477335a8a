"""Option ``architecture=hyperzzw``: weights of a whole image, made by a slow network and by the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.networks.base import shared
from feature_lazy.networks.convolutional import ImageArchitecture
from feature_lazy.networks.geometry import ImageShape, Window, sides
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.settings.scales import Width
    from feature_lazy.systems.hyper_zzw.network import HyperZzw


@option("architecture", "hyperzzw")
class HyperZzwOption(ImageArchitecture):
    """The global branch (Z ⊙ K)·Z′ of HyperZZW (arXiv:2401.17948), with h channels and 4h features at its end."""

    kernel: str = key(
        "slow", "K: slow, from coordinates by a network of sines; table, a weight for each", choices=("slow", "table")
    )
    context: bool = key(True, "whether K is multiplied by Z, so that it varies with the image")
    hidden: int = key(8, "hidden units of the slow network", ge=1)
    omega: float = key(0.1, "ω₀ of the slow network's frequencies, 2πω₀Γ", gt=0)

    one_width = True

    def last_fan_in(self, width: Width) -> int:
        return 4 * super().last_fan_in(width)

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if config.parametrisation.exponents is not NTK:
            yield (
                f"parametrisation={config.parametrisation.kind}: architecture=hyperzzw is scaled as ntk alone; use ntk."
            )

    def check_image(self, shape: ImageShape) -> None:
        sides(shape, [Window(2)])

    def build(self, config: Config, data: Dataset) -> HyperZzw:
        from feature_lazy.systems.hyper_zzw.network import HyperZzw

        common = shared(config, data)
        keys = {"hidden": self.hidden if self.kernel == "slow" else 0, "omega": self.omega, "context": self.context}
        image = self.image_shape(config, data)
        return HyperZzw(image, config.width.h, common["activation"], n_outputs=common["n_outputs"], **keys)
