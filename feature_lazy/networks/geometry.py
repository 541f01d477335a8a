"""What convolutions see and leave of an image; without PyTorch, so that a command line can be checked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

ImageShape = tuple[int, int, int]
"""(C, H, W): channels, rows and columns of an image, which is a flat pattern of C·H·W numbers everywhere else."""


@dataclass(frozen=True)
class Window:
    """What a convolution sees at each position: a square of its input.

    Attributes:
        size: its side.
        stride: from one position to the next.
        padding: zeros around the input.
    """

    size: int
    stride: int = 1
    padding: int = 0

    @property
    def area(self) -> int:
        """Pixels that it sees at once."""
        return self.size**2

    def unfold(self, images: Tensor) -> Tensor:
        """What it sees at each position of images (P, C, H, W): (P, C·area, positions)."""
        import torch

        return torch.nn.functional.unfold(images, self.size, padding=self.padding, stride=self.stride)

    def positions(self, side: int) -> int:
        """Positions along one side of an image that is ``side`` wide; none are left if this is 0 or less."""
        return (side + 2 * self.padding - self.size) // self.stride + 1


@dataclass(frozen=True)
class Rectangle:
    """A window that need not be square and may have gaps; (over rows, over columns) each.

    Attributes:
        size, stride, padding: as of ``Window``.
        dilation: from one pixel that it sees to the next.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def area(self) -> int:
        """See ``Window.area``."""
        return self.size[0] * self.size[1]

    def unfold(self, images: Tensor) -> Tensor:
        """See ``Window.unfold``."""
        import torch

        return torch.nn.functional.unfold(images, self.size, self.dilation, self.padding, self.stride)


def article_windows(blocks: int, per_block: int, size: int = 5, stride: int = 2) -> list[Window]:
    """Windows of the article's network: 5 × 5, padding 1, stride 2 on each block's first convolution (section 7)."""
    return [Window(size, 1 if layer % per_block else stride, 1) for layer in range(blocks * per_block)]


def sides(image: ImageShape, windows: Sequence[Window]) -> list[int]:
    """Side of a square image, and what each of a chain of convolutions leaves of it.

    Raises:
        ConfigError: an image that is not square, smaller than a filter, or used up before the last convolution.
    """
    _, height, width = image
    if height != width:
        raise ConfigError(f"images of {height} × {width} pixels: a convolutional network takes square ones.")
    result = [height]
    if height < windows[0].size:
        raise ConfigError(
            f"images of {height} × {width} pixels are smaller than a filter of {windows[0].size} × {windows[0].size}."
        )
    for layer, window in enumerate(windows):
        result.append(window.positions(result[-1]))
        if result[-1] < 1:
            raise ConfigError(
                f"images of {height} × {width} pixels have nothing left for convolution {layer + 1} of {len(windows)}: "
                "use fewer blocks, smaller windows or larger images."
            )
    return result


def article_sides(image: ImageShape, blocks: int, per_block: int = 2, size: int = 5, stride: int = 2) -> list[int]:
    """Side of an image in the article's network, before the first and after each of its convolutions.

    Raises:
        ConfigError: what ``sides`` refuses, and an odd side where images are halved.
    """
    found = sides(image, article_windows(blocks, per_block, size, stride))
    if stride == 2 and found[0] % 2:
        # An even side loses only padding to the first stride; the article's images, 28 and 32 wide, are such.
        raise ConfigError(
            f"images of {found[0]} × {found[0]} pixels: the article's network halves its images, so the side must be "
            "even; add a row and a column, or leave one out."
        )
    return found


def convolve(images: Tensor, filters: Tensor, window: Window) -> Tensor:
    """Images (P, C, H, W) or (M, P, C, H, W) with each member's filters (M, C', C, s, s): (M, P, C', H', W')."""
    import torch

    own = images.dim() == 5
    return torch.stack(
        [
            torch.nn.functional.conv2d(images[e] if own else images, filters[e], None, window.stride, window.padding)
            for e in range(len(filters))
        ]
    )
