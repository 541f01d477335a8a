"""Observable ``outputs``: the predictor itself, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_lazy.settings.groups import Observable
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment


@option("observe/also", "outputs")
class OutputsOverTime(Observable):
    """F on all training patterns and on the test patterns used over time (observe.n_test), stored as arrays over time.

    ``F_train`` (P,) and ``F_test`` (n,) at each observation, (P, C) and (n, C) of a network with C outputs; ``F_valid``
    with a validation set.
    """

    def series(self, moment: Moment) -> dict[str, Tensor]:
        found = {"F_train": moment.F_train, "F_test": moment.F_test}
        if moment.F_valid is not None:
            found["F_valid"] = moment.F_valid
        c = moment.setting.data.n_outputs
        return found if c == 1 else {name: values.unflatten(1, (-1, c)) for name, values in found.items()}
