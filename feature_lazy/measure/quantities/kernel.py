"""The tangent kernel along a run: how it changes, in total and by weight, and its shape."""

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from feature_lazy.dynamics.model import kernel_change
from feature_lazy.kernels import describe, relative_change
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.quantities.fit import Scalars, prefixed
from feature_lazy.settings.groups import Observable


@dataclass
class KernelProbe(Observable):
    """Θ on a few test patterns, over time.

    Attributes:
        patterns: test patterns of the probe set, the first ones.
        layers: whether each weight's part of the kernel is followed too.
        eigenvalues: how many of the largest are recorded.
        matrices: whether Θ at the start and at the end is stored.
        theta0: Θ₀ of each member, (M, P·C, P·C).
        parts0: its part of each weight, by name.
    """

    patterns: int = 128
    layers: bool = False
    eigenvalues: int = 0
    matrices: bool = False
    theta0: Tensor = dataclasses.field(init=False, repr=False)
    parts0: dict[str, Tensor] = dataclasses.field(init=False, repr=False)

    def begin(self, moment: Moment) -> None:
        x = moment.probe(self.patterns)
        self.theta0 = moment.kernel(x)
        self.parts0 = moment.layer_kernels(x) if self.layers else {}

    def at(self, moment: Moment) -> Scalars:
        """See ``Observable.at``.

        ``change`` = ‖Θ − Θ₀‖_F/‖Θ₀‖_F (Fig. 5a), what ``describe`` gives, ``eigenvalue_1`` … in descending order, and
        of the part Θ_l of each weight ``W0/change`` and ``W0/share`` = tr Θ_l/tr Θ; all of them as ``kernel/…``.
        """
        x, member = moment.probe(self.patterns), moment.member
        theta = moment.kernel(x)
        labels = moment.setting.data.y_test[: self.patterns]
        scalars = {"change": relative_change(theta, self.theta0[member]), **describe(theta, labels)}
        for name, part in (moment.layer_kernels(x) if self.parts0 else {}).items():
            scalars[f"{name}/change"] = relative_change(part, self.parts0[name][member])
            scalars[f"{name}/share"] = part.diagonal(dim1=1, dim2=2).sum(1) / scalars["trace"]
        if k := self.eigenvalues:
            largest = moment.eigenvalues(x)
            scalars |= {f"eigenvalue_{i + 1}": largest[:, i] for i in range(k)}
        return prefixed("kernel", scalars)

    def end(self, moment: Moment) -> tuple[Scalars, dict[str, Tensor]]:
        """See ``Observable.end``: with ``matrices`` ``theta_start`` and ``theta_end``, (1, P·C, P·C)."""
        if not self.matrices:
            return {}, {}
        theta = moment.kernel(moment.probe(self.patterns))
        return {}, {"theta_start": self.theta0[moment.member], "theta_end": theta}


@dataclass
class FinalKernels(Observable):
    """Kernel change on the whole train and test sets, at the end."""

    def end(self, moment: Moment) -> Scalars:
        """See ``Observable.end``; nothing of a run that failed."""
        model, data = moment.setting.model, moment.setting.data
        sets = {} if moment.failed else {"train": data.x_train, "test": data.x_test}
        return {
            f"kernel/change_{name}": kernel_change(model, moment.weights, moment.w0, moment.member, x)
            for name, x in sets.items()
        }
