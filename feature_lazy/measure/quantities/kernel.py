"""The tangent kernel along a run: how it changes, in total and by weight, and its shape."""

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.model import kernel_change
from feature_lazy.kernels import describe, label_gradient_alignment, relative_change
from feature_lazy.kernels.description import unclassed
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.quantities.fit import Scalars, prefixed
from feature_lazy.networks.layout import LAST
from feature_lazy.settings.groups import Observable


@dataclass
class KernelProbe(Observable):
    """Θ on a few test patterns, over time.

    Attributes:
        patterns: test patterns of the probe set, the first ones.
        layers: whether each weight's part of the kernel is followed too.
        eigenvalues: how many of the largest are recorded.
        matrices: whether Θ at the start and at the end is stored.
        lga_without: weights without which LGA is recorded too, by name, ``last`` for those of the output layer.
        theta0: Θ₀ of each member, (M, P·C, P·C).
        parts0: its part of each weight, by name.
    """

    patterns: int = 128
    layers: bool = False
    eigenvalues: int = 0
    matrices: bool = False
    lga_without: tuple[str, ...] = ()
    theta0: Tensor = dataclasses.field(init=False, repr=False)
    parts0: dict[str, Tensor] = dataclasses.field(init=False, repr=False)

    def begin(self, moment: Moment) -> None:
        x = moment.probe(self.patterns)
        self.theta0 = moment.kernel(x)
        self.parts0 = moment.layer_kernels(x) if self.layers else {}
        if self.lga_without:
            self._left_out(moment)

    def _left_out(self, moment: Moment) -> list[str]:
        """Names of ``lga_without``.

        Raises:
            ConfigError: a weight that the network does not train.
        """
        last = [name for name in moment.setting.flow.architecture.layout.last if name in self.parts0]
        found = list(dict.fromkeys(name for one in self.lga_without for name in (last if one == LAST else [one])))
        if unknown := [name for name in found if name not in self.parts0]:
            raise ConfigError(
                f"observe.kernel.lga_without=[{','.join(self.lga_without)}]: no weight {unknown[0]!r} is trained; "
                f"there are {', '.join(self.parts0)}, and {LAST} for the output layer."
            )
        return found

    def at(self, moment: Moment) -> Scalars:
        """See ``Observable.at``.

        ``change`` = ‖Θ − Θ₀‖_F/‖Θ₀‖_F (Fig. 5a), what ``describe`` gives, ``eigenvalue_1`` … in descending order, and
        of the part Θ_l of each weight ``W0/change`` and ``W0/share`` = tr Θ_l/tr Θ; all of them as ``kernel/…``. With
        ``lga_without`` LGA of Θ less the parts of those weights too, as the paper has it without the classifier.
        """
        x, member = moment.probe(self.patterns), moment.member
        theta = moment.kernel(x)
        labels = moment.setting.data.y_test[: self.patterns]
        scalars = {"change": relative_change(theta, self.theta0[member]), **describe(theta, labels)}
        parts = moment.layer_kernels(x) if self.parts0 else {}
        if self.lga_without and not unclassed(labels):
            rest = theta - sum(parts[name] for name in self._left_out(moment))
            scalars["lga_without"] = label_gradient_alignment(rest, labels)
        for name, part in parts.items():
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
