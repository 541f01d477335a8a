"""Patterns as sequences of tokens, for networks that read one token after another, or all beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config


@dataclass(frozen=True)
class Tokens:
    """How a flat pattern is read as T tokens.

    Attributes:
        number: T.
        size: numbers in a token.
        channels: of an image whose rows are the tokens, each with the numbers of all channels; 1: the numbers of a
            token lie side by side.
    """

    number: int
    size: int
    channels: int = 1

    def of(self, x: Tensor) -> Tensor:
        """Patterns (…, T·size) as sequences (…, T, size)."""
        split = x.unflatten(-1, (self.channels, self.number, self.size // self.channels))
        return split.movedim(-3, -2).flatten(-2)


@dataclass
class SequenceArchitecture(Architecture):
    """A network over sequences.

    You write these: a network's option as any other, whose ``build`` asks ``tokens_of`` how patterns are read.
    """

    tokens: int = key(0, "T, tokens of a pattern, which it is cut into; 0: the rows of an image", ge=0)

    def read(self, shape: tuple[int, ...]) -> Tokens:
        """How patterns of a shape are read.

        Raises:
            ConfigError: a T that does not divide them, or patterns without rows and no T.
        """
        numbers = prod(shape)
        if self.tokens and numbers % self.tokens:
            raise ConfigError(
                f"architecture.tokens={self.tokens}: patterns of {numbers} numbers are not cut into so many tokens of "
                "one size; use a divisor."
            )
        if self.tokens:
            return Tokens(self.tokens, numbers // self.tokens)
        if len(shape) != 3:
            raise ConfigError(
                f"architecture.tokens=0: patterns of the shape {shape} have no rows; say how many tokens they have."
            )
        channels, rows, columns = shape
        return Tokens(rows, channels * columns, channels)

    def problems(self, config: Config) -> Iterator[str]:
        if config.dataset.shape is not None:
            try:
                self.read(config.dataset.shape)
            except ConfigError as error:
                yield f"{error} ({config.dataset.shaped_by})"

    def tokens_of(self, data: Dataset) -> Tokens:
        """How patterns that are there are read.

        Raises:
            ConfigError: see ``read``.
        """
        return self.read(data.shape or (data.input_dim,))
