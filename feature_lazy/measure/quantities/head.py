"""Observables of the output layer and of what it sees: ``head``, and ``calibration`` of the probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import FIT, WEIGHTS
from feature_lazy.measure.quantities.features import OfFeatures
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config


@option("observe/also", "head")
class Head(OfFeatures):
    """The network as f = Vφ: ‖V‖, and how far the features φ that the output layer sees have moved on a probe set.

    V has all constant factors of the output layer in it, its bias left out. Of a linearised network φ stays.
    """

    quantities: ClassVar[Any] = {
        "head/norm": Quantity("norm of the output layer ‖V‖, f = Vφ", where="arXiv:2405.16747", theme=WEIGHTS),
        "features/change": Quantity(
            "change of features, mean |φ − φ₀|²/mean |φ₀|²", where="arXiv:2405.16747", theme=WEIGHTS
        ),
    }

    def begin(self, moment: Moment) -> None:
        super().begin(moment)
        self._features0 = head(moment, self.probe)[1]

    def at(self, moment: Moment) -> dict[str, Tensor]:
        norm, features = head(moment, self.probe)
        then = self._features0[moment.member]
        moved = (features - then).square().sum((1, 2)) / then.square().sum((1, 2))
        return {"head/norm": norm, "features/change": moved}


def head(moment: Moment, probe: int) -> tuple[Tensor, Tensor]:
    """‖V‖, (M,), and φ on the first test patterns, (M, patterns, n)."""
    net = moment.setting.flow.architecture
    params = net.layout.unflatten(moment.weights)
    taps = net.taps(params, moment.probe(probe))[1]  # type: ignore[attr-defined]
    [last] = [tap for tap in taps if tap.name in net.layout.last and not tap.name.startswith("B")]
    features = last.inputs.detach()
    features = features.expand(len(moment), *features.shape[-2:])
    return last.scale * params[last.name].flatten(1).norm(dim=1), features


@option("observe/also", "calibration")
class Calibration(Observable):
    """Expected calibration error on the test set, as F is and after temperature scaling F/T.

    Σ_b (n_b/n)|accuracy − mean confidence| over bins of the largest probability, softmax F its distribution; T is the
    one of least mean −ln p on the validation set (Guo et al. 2017).
    """

    bins: int = key(10, "bins of equal width of the largest probability, 0 … 1", ge=1)

    quantities: ClassVar[Any] = {
        "test/ece": Quantity("expected calibration error", scale="linear", where="arXiv:1706.04599", theme=FIT),
        "test/ece_scaled": Quantity("the same of F/T", scale="linear", where="arXiv:1706.04599", theme=FIT),
        "valid/temperature": Quantity("T of least −ln p on the validation set", where="arXiv:1706.04599", theme=FIT),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["labels=classes", "loss=cross_entropy", "dataset.n_valid=10"]

    def problems(self, config: Config) -> Iterator[str]:
        asked = f"observe/also=[{self.kind}]"
        if not (config.labels.several and config.loss.likelihood):
            yield f"{asked}: needs probabilities of classes; use labels=classes loss=cross_entropy."
        if not config.dataset.n_valid:
            yield f"{asked}: the temperature is that of a validation set; set dataset.n_valid."

    def at(self, moment: Moment) -> dict[str, Tensor]:
        return self._of(moment, moment.F_test, moment.y_test)

    def end(self, moment: Moment) -> dict[str, Tensor]:
        """On the whole test set."""
        return self._of(moment, moment.F_test_whole, moment.setting.data.y_test)

    def _of(self, moment: Moment, predictor: Tensor, labels: Tensor) -> dict[str, Tensor]:
        from feature_lazy.measure.calibration import calibration_error, temperature

        valid = moment.setting.data.y_valid
        assert moment.F_valid is not None
        assert valid is not None
        scale = temperature(moment.F_valid, valid)
        return {
            "test/ece": calibration_error(predictor, labels, self.bins),
            "test/ece_scaled": calibration_error(predictor / scale[:, None], labels, self.bins),
            "valid/temperature": scale,
        }
