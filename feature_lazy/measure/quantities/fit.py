"""How well the data are fit, and what the network gives: functions of the outputs alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.core.margins import margins
from feature_lazy.measure.moment import Moment
from feature_lazy.settings.groups import Loss, Observable

Scalars = dict[str, Tensor]
"""Observables by name, each (M,): one value for each observed state."""


def prefixed(group: str, scalars: Mapping[str, Tensor]) -> Scalars:
    """The same scalars as ``group/name``."""
    return {f"{group}/{name}": value for name, value in scalars.items()}


def fit(predictor: Tensor, labels: Tensor, loss: Loss) -> Scalars:
    """How well F (M, P·C) fits y (P,).

    ``loss`` = α²𝓛 = mean ℓ; ``error`` = fraction with margin m ≤ 0, which for classes says that F_y is not the only
    largest; ``margin_min``, ``margin_median``, ``margin_max`` of m; ``unfit`` = number with m < 1.
    """
    m = margins(predictor, labels)
    return {
        "loss": loss(predictor, labels).mean(1),
        "error": (m <= 0).double().mean(1),
        "margin_min": m.amin(1),
        "margin_median": m.quantile(0.5, dim=1),
        "margin_max": m.amax(1),
        "unfit": (m < 1).double().sum(1),
    }


def rms(values: Tensor) -> Tensor:
    """‖g‖ = (mean over the set, and over outputs, of g²)^½ (eq. 31): (M, P·C) → (M,)."""
    return values.square().mean(1).sqrt()


def output_norms(f: Tensor, f0: Tensor, alpha: Tensor) -> Scalars:
    """‖f‖, ‖f − f₀‖ and α‖f − f₀‖ (eq. 31) for f, f₀ (M, P·C) and α (M,)."""
    change = rms(f - f0)
    return {"f_rms": rms(f), "df_rms": change, "alpha_df_rms": alpha * change}


def excess(predictor: Tensor, target: Tensor | None) -> Scalars:
    """Excess risk: the mean of (F − f*)² over patterns, for F (M, P) and targets without noise f* (P,), if known."""
    return {} if target is None else {"excess": (predictor - target[: predictor.shape[1]]).square().mean(1)}


@dataclass
class Fit(Observable):
    """Losses, errors and margins, and the excess risk where targets without noise are known.

    On the validation set too, if there is one; at the end on the whole test set.
    """

    def at(self, moment: Moment) -> Scalars:
        loss, data = moment.setting.loss, moment.setting.data
        train, test = fit(moment.F_train, moment.y_train, loss), fit(moment.F_test, moment.y_test, loss)
        found = {**prefixed("train", train), **prefixed("test", test | excess(moment.F_test, data.f_test))}
        if moment.F_valid is not None and data.y_valid is not None:
            found |= prefixed("valid", fit(moment.F_valid, data.y_valid, loss))
        return found

    def end(self, moment: Moment) -> Scalars:
        data, predictor = moment.setting.data, moment.F_test_whole
        whole = fit(predictor, data.y_test, moment.setting.loss)
        return prefixed("test", whole | excess(predictor, data.f_test))


@dataclass
class Outputs(Observable):
    """Norms of the outputs (eq. 31); at the end F, f₀ and y themselves, on the whole sets."""

    def at(self, moment: Moment) -> Scalars:
        test = output_norms(moment.f_test, moment.f0_test, moment.alpha)
        train = output_norms(moment.f_train, moment.f0_train, moment.alpha)
        return {**prefixed("output", test), **prefixed("output/train", train)}

    def end(self, moment: Moment) -> tuple[Scalars, dict[str, Tensor]]:
        """See ``Observable.end``: F and f₀ (1, P), or (1, P, C) of several outputs, and y (1, P)."""
        data = moment.setting.data
        found = {
            "F_train": moment.F_train,
            "F_test": moment.F_test_whole,
            "f0_train": moment.f0_train,
            "f0_test": moment.f0_test_whole,
        }
        labels = {"y_train": data.y_train, "y_test": data.y_test}
        if moment.F_valid is not None and data.y_valid is not None:
            found["F_valid"], labels["y_valid"] = moment.F_valid, data.y_valid
        if (c := data.n_outputs) > 1:
            found = {name: values.unflatten(1, (-1, c)) for name, values in found.items()}
        return {}, found | {name: torch.stack([y] * len(moment)) for name, y in labels.items()}
