"""Labels y of classes, and the order of classes that keeps every even number of patterns balanced.

Patterns of the classes follow each other in a *cycle*, which is repeated. Where the labels of a cycle alternate, any
even number of patterns from the start, and any even number after it, has as many of each label.
"""

from collections.abc import Sequence

import numpy as np

from feature_lazy.core.errors import DataError
from feature_lazy.core.streams import stream
from feature_lazy.settings.groups import Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option


@option("labels", "parity")
class Parity(Labels):
    """The article's: y = 2(rank mod 2) − 1, rank among the sorted classes in use (section 2)."""

    def in_use(self, names: Sequence[int]) -> list[int]:
        """See ``Labels.in_use``.

        Raises:
            DataError: an odd number of classes, which parity cannot balance.
        """
        if len(names) % 2:
            raise DataError(f"Parity labels need an even number of classes; there are {len(names)}.")
        return sorted(names)

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        return 2.0 * (np.searchsorted(names, classes) % 2) - 1.0


@option("labels", "one_vs_rest")
class OneVsRest(Labels):
    """One class is +1, all others −1.

    Every other pattern is of the one class, and the rest take turns in between: the labels stay balanced, and within
    −1 so do the classes.
    """

    positive: int = key(1, "the class", ge=0)

    @property
    def chosen_by(self) -> str:
        return f" labels.positive={self.positive}"

    def in_use(self, names: Sequence[int]) -> list[int]:
        """See ``Labels.in_use``.

        Raises:
            DataError: the class is not there, or alone.
        """
        if self.positive not in names or len(names) < 2:
            raise DataError(f"One class against the rest: {self.positive} is not one of several classes {list(names)}.")
        return sorted(names)

    def cycle(self, names: Sequence[int]) -> list[int]:
        return [name for other in names if other != self.positive for name in (other, self.positive)]

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        return np.where(classes == self.positive, 1.0, -1.0)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dataset.n_train=20", "dataset.n_test=200"]


@option("labels", "pairs")
class Pairs(Labels):
    """Given pairs of classes, such as cat and dog: the first of each pair is −1, the second +1; no others are used."""

    minus: list[int] = key([], "first class of each pair, such as [3]", ge=0)
    plus: list[int] = key([], "second class of each pair, such as [5]", ge=0)

    choose_classes = False

    @property
    def chosen_by(self) -> str:
        minus, plus = (",".join(map(str, classes)) for classes in (self.minus, self.plus))
        return f" labels.minus=[{minus}] labels.plus=[{plus}]"

    def in_use(self, names: Sequence[int]) -> list[int]:
        """See ``Labels.in_use``.

        Raises:
            DataError: no pairs, a class without its partner, one that is in two pairs or that is not there.
        """
        used = sorted([*self.minus, *self.plus])
        if not used or len(self.minus) != len(self.plus) or len(set(used)) < len(used) or not set(used) <= set(names):
            raise DataError(
                f"Pairs of classes: {list(self.minus)} and {list(self.plus)} must be as many, each class once, "
                f"out of {list(names)}."
            )
        return used

    def cycle(self, names: Sequence[int]) -> list[int]:
        return [name for pair in zip(self.minus, self.plus, strict=True) for name in pair]

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        return np.where(np.isin(classes, self.plus), 1.0, -1.0)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["labels.minus=[3]", "labels.plus=[5]", "dataset.n_train=20", "dataset.n_test=200"]


@option("labels", "random")
class RandomLabels(Labels):
    """±1 by the toss of a coin, whatever the pattern: what is learnt is memorised.

    One coin for each two patterns in a row: one gets +1 and the other −1, so that the labels are balanced.
    """

    seed: int = key(0, "decides the coins", ge=0)

    def in_use(self, names: Sequence[int]) -> list[int]:
        return sorted(names)

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        coins = 2.0 * stream(self.seed, "labels").integers(0, 2, size=-(-len(classes) // 2)) - 1.0
        return np.stack([coins, -coins], axis=1).ravel()[: len(classes)]


@option("labels", "regression")
class Regression(Labels):
    """Real labels: the set's own targets, or the rank of the class, of mean 0 and variance 1 over the classes.

    Two classes are ±1.
    """

    real = True

    def unit(self, names: Sequence[int]) -> int:
        """See ``Labels.unit``: real numbers are balanced in any number."""
        return 1

    def in_use(self, names: Sequence[int]) -> list[int]:
        """See ``Labels.in_use``.

        Raises:
            DataError: a single class: every label would be the same.
        """
        if len(names) < 2:
            raise DataError(f"Regression on the rank of the class needs two classes or more; there is {len(names)}.")
        return sorted(names)

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        if targets is not None:
            return targets
        n = len(names)
        return (np.searchsorted(names, classes) - (n - 1) / 2) / np.sqrt((n * n - 1) / 12)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["loss=mse"]


@option("labels", "classes")
class Classes(Labels):
    """The class itself, by its rank among the sorted classes in use: 0 … C − 1, for a network with C outputs."""

    several = True

    def unit(self, names: Sequence[int]) -> int:
        return len(names)

    def n_outputs(self, names: Sequence[int]) -> int:
        return len(names)

    def in_use(self, names: Sequence[int]) -> list[int]:
        """See ``Labels.in_use``.

        Raises:
            DataError: a single class, which there is nothing to tell from.
        """
        if len(names) < 2:
            raise DataError(f"An output for each class needs two classes or more; there is {len(names)}.")
        return sorted(names)

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        return np.searchsorted(names, classes).astype(np.int64)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["loss=mse"]
