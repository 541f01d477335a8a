"""The first principal components of a set, whitened (Fig. 7a)."""

from collections.abc import Iterable

import numpy as np

from feature_lazy.core.errors import DataError


class Whitening:
    """Projection on the first d principal components, each scaled to variance 1 over the set.

    It comes last: images are centred and put on their sphere before, and the components are left as they are, so that
    |x|² = d holds in the mean over the set and not for each pattern. Scaling every pattern to it would take the unit
    variance away again, and one of few dimensions; the authors' code does not either.
    """

    def __init__(self, blocks: Iterable[np.ndarray], components: int) -> None:
        """Find the components.

        Args:
            blocks: all patterns, some rows (n, D) at a time.
            components: d.

        Raises:
            DataError: more components than there are directions in which the patterns differ.
        """
        n, total, gram = 0, 0.0, 0.0
        for block in blocks:
            n, total, gram = n + len(block), total + block.sum(axis=0), gram + block.T @ block
        self.mean = np.asarray(total) / n
        variances, directions = np.linalg.eigh(gram / n - np.outer(self.mean, self.mean))
        variances, directions = variances[::-1], directions[:, ::-1]
        rank = int((variances > len(variances) * np.finfo(float).eps * variances[0]).sum())
        if components > rank:
            raise DataError(f"The patterns differ in {rank} directions; {components} components were asked for.")
        kept = directions[:, :components]
        # An eigenvector has no sign of its own: its largest entry is made positive, to be the same on every machine.
        largest = np.abs(kept).argmax(axis=0)
        self.matrix = kept * np.sign(kept[largest, range(components)]) / np.sqrt(variances[:components])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Patterns (n, D) → components (n, d)."""
        return (x - self.mean) @ self.matrix
