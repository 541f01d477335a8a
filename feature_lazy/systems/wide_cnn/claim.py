"""Learning curves of the kernel of a tree of patches beside theory, for targets of few patches and of all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.data.build import build_data
from feature_lazy.kernels.regression import kernel_regression
from feature_lazy.networks.base import Network
from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import start_slope
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.limit_laws import AT_START, KERNEL
from feature_lazy.study.splits import mean_of_splits
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Expected
from feature_lazy.systems.wide_cnn import PAPER
from feature_lazy.systems.wide_cnn.data import Multicircle, modes
from feature_lazy.systems.wide_cnn.network import PatchTree
from feature_lazy.systems.wide_cnn.theory import Spectrum

SIZES = (64, 128, 256, 512)
"""Patterns that the kernel learns from."""
OTHERS, DRAWS = 1024, 8
"""Patterns beside the most of those, and draws of them all, for each split."""
LOWEST = 16
"""Wave number from which on a spectrum is a power of it, up to a quarter of all."""
ROUNDING = 1e-6
SHALLOW = Expected(-2, 0.075, "finite k")
"""2ν + d with 2ν = 1 of ReLU's NTK. An independent calculation has −2.09 for one patch and −2.99 for both."""
DEEP = Expected(-3, 0.033, "finite k")
THEORY = Expected(1, 0.06, "Gaussian features")
"""An independent calculation (n = 64 … 1024) is within 6 % at most n."""
SAME = Expected(0, 0.05, "Gaussian features")
WIDE = Expected(1, 0.1, "finite h")
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end", "stationary"), "across": KINDS, "quiet": True}
LOSS = "test/loss"
LACKS = "runs of architecture=patch_tree on dataset=multicircle, labels=regression, of two splits"
ONE, ALL = "one", "all"


@law("exponent of Θ∞'s eigenvalues in k, modes of one patch", needs=(LOSS,), expected=SHALLOW, lacks=LACKS, **SAYS)
def one_patch(table: pd.DataFrame) -> Estimate | None:
    """−(2ν + 1) for waves over one of two patches; no seed plays a part in it."""
    return _slope(table, (1, 0))


@law("exponent of Θ∞'s eigenvalues in k, modes of two patches", needs=(LOSS,), expected=DEEP, lacks=LACKS, **SAYS)
def two_patches(table: pd.DataFrame) -> Estimate | None:
    """−(2ν + 2) for equal wave numbers over both."""
    return _slope(table, (1, 1))


@law("error of Θ∞ over theory, target of one patch", needs=(LOSS,), expected=THEORY, lacks=LACKS, **SAYS)
def error_of_one(table: pd.DataFrame) -> Estimate | None:
    """1: regression on n patterns over the eigenframework of the Fourier modes, mean over n."""
    return mean_of_splits(float(np.mean(c.measured / c.theory)) for c in curves(table, ONE))


@law("error of Θ∞ over theory, target of all patches", needs=(LOSS,), expected=THEORY, lacks=LACKS, **SAYS)
def error_of_all(table: pd.DataFrame) -> Estimate | None:
    """1, as of one."""
    return mean_of_splits(float(np.mean(c.measured / c.theory)) for c in curves(table, ALL))


@law("exponent of the error in n less theory's, target of one patch", needs=(LOSS,), expected=SAME, lacks=LACKS, **SAYS)
def exponent_of_one(table: pd.DataFrame) -> Estimate | None:
    """0: theory's is that over the same n, and not yet its asymptotic −¾."""
    return mean_of_splits(c.exponent - c.foretold for c in curves(table, ONE))


@law(
    "exponent of the error in n less theory's, target of all patches", needs=(LOSS,), expected=SAME, lacks=LACKS, **SAYS
)
def exponent_of_all(table: pd.DataFrame) -> Estimate | None:
    """0, where theory's is −½."""
    return mean_of_splits(c.exponent - c.foretold for c in curves(table, ALL))


@law(
    "exponent of the error in n, target of all patches less that of one",
    where="curse of dimensionality",
    needs=(LOSS,),
    expected=ABOVE_ZERO,
    lacks=LACKS,
    **SAYS,
)
def local_is_faster(table: pd.DataFrame) -> Estimate | None:
    """Above 0: what the target depends on decides, and not how many patches there are."""
    found = [{c.split: c.exponent for c in curves(table, part)} for part in (ALL, ONE)]
    return mean_of_splits(found[0][split] - found[1][split] for split in found[0] if split in found[1])


@law("error of wide networks over that of Θ∞", needs=(LOSS,), expected=WIDE, lacks=LACKS, **SAYS)
def networks(table: pd.DataFrame) -> Estimate | None:
    """1: geometric mean over targets and P, of the widest linearised networks with more channels than patterns."""
    runs = of_trees(table)
    runs = runs[(runs["P"] < runs[H]) & (runs[H] == runs[H].max())]
    logs: dict[int, list[float]] = {}
    for _, part in runs.assign(target=[repr(run.config["dataset"]) for run in runs["run"]]).groupby("target"):
        expected = _of_limit(part["run"].iloc[0])
        split = part["run"].iloc[0].config["dataset"].get("seed", 0)
        logs.setdefault(split, []).append(float(np.mean([np.log(_error(run) / expected) for run in part["run"]])))
    found = mean_of_splits(np.mean(of_split) for of_split in logs.values())
    return found and Estimate(float(np.exp(found.value)), float(np.exp(found.value) * found.error), found.seeds)


@law(
    "initial kernel of a tree of patches against its limit, in h",
    needs=(KERNEL,),
    expected=AT_START,
    lacks="two widths",
    **SAYS,
)
def deviation(table: pd.DataFrame) -> Estimate | None:
    """−½, at t = 0."""
    runs = of_trees(table)
    return start_slope(runs[runs[KERNEL].notna()], KERNEL) if len(runs) else None


def of_trees(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of trees of patches that learn targets on circles, without noise."""
    mine = [
        run.config.get("architecture", {}).get("kind") == "patch_tree"
        and run.config.get("dataset", {}).get("kind") == "multicircle"
        and run.config.get("labels", {}).get("kind") == "regression"
        and not run.config["dataset"].get("noise", 0)
        for run in table["run"]
    ]
    return table[np.array(mine, dtype=bool)]


@dataclass(frozen=True)
class Curve:
    """A learning curve of Θ∞ for one target.

    Attributes:
        split: seed of the data, and of the target.
        measured: mean squared errors at ``SIZES``, means over draws.
        theory: those that the spectrum foretells.
    """

    split: int
    measured: np.ndarray
    theory: np.ndarray

    @property
    def exponent(self) -> float:
        """Of the error in n, by least squares over ``SIZES``."""
        return float(np.polyfit(np.log(SIZES), np.log(self.measured), 1)[0])

    @property
    def foretold(self) -> float:
        """The same of theory."""
        return float(np.polyfit(np.log(SIZES), np.log(self.theory), 1)[0])


def curves(table: pd.DataFrame, part: str) -> Iterator[Curve]:
    """A learning curve for each target of one patch, or of all, that runs have."""
    found = {}
    for run in of_trees(table)["run"]:
        data = {key: value for key, value in run.config["dataset"].items() if not key.startswith("n_")}
        if len(data.get("local", [0])) == (1 if part == ONE else data.get("patches", 2)):
            found[repr([data, run.config["architecture"], run.config.get("activation")])] = run
    for name, run in found.items():
        if name not in _curves:
            _curves[name] = _curve(run)
        yield _curves[name]


_curves: dict[str, Curve] = {}
"""What was measured, which several laws ask for."""


def _curve(run: Run) -> Curve:
    config = from_plain(run.config)
    law, most = config.dataset, max(SIZES)
    assert isinstance(law, Multicircle)
    data = replace(law, n_train=most, n_test=OTHERS, n_valid=0).build(config.labels)
    network = config.architecture.build(config, data)
    x, y = torch.cat([data.x_train, data.x_test]), torch.cat([data.y_train, data.y_test])
    kernel, draws = limit_kernels(network, x).ntk, stream(law.seed, "wide convolutional networks")
    orders = [torch.from_numpy(draws.permutation(len(y))) for _ in range(DRAWS)]
    errors = [[_regression(kernel, y, order[:n], order[most:]) for n in SIZES] for order in orders]
    spectrum, series = _spectrum(network), modes(law.teacher, len(law.local), law.seed)
    theory = [spectrum.error(n, series, law.local) for n in SIZES]
    return Curve(law.seed, np.mean(errors, 0), np.array(theory))


def _regression(kernel: Tensor, y: Tensor, seen: Tensor, other: Tensor) -> float:
    """Mean squared error on some patterns of regression on others."""
    found = kernel_regression(kernel[seen][:, seen][None], kernel[other][:, seen][None], y[seen])[0]
    return float((found - y[other]).square().mean())


_spectra: dict[str, Spectrum] = {}


def _spectrum(network: Network) -> Spectrum:
    """The spectrum of the limit of a network, which its width plays no part in."""
    assert isinstance(network, PatchTree)
    one = replace(network, width=1)
    key = repr(one)
    if key not in _spectra:
        _spectra[key] = Spectrum.of(one)
    return _spectra[key]


def _slope(table: pd.DataFrame, wave: tuple[int, int]) -> Estimate | None:
    """Exponent of the eigenvalues of waves over the first two patches, k times these; of the first tree of runs."""
    for run in of_trees(table)["run"]:
        config = from_plain(run.config)
        network = config.architecture.build(config, build_data(config))
        found = _spectrum(network).eigenvalues
        if found.ndim > 1 and len(found) > 8 * LOWEST:
            k = np.arange(LOWEST, len(found) // 4)
            along = found[(k * wave[0], k * wave[1]) + (0,) * (found.ndim - 2)]
            return Estimate(float(np.polyfit(np.log(k), np.log(along), 1)[0]), ROUNDING, len(table))
    return None


def _error(run: Run) -> float:
    return float(np.square(run.outputs["F_test"] - run.outputs["y_test"]).mean())


def _of_limit(run: Run) -> float:
    """Error of regression with Θ∞ on what a run has learnt from."""
    config = from_plain(run.config)
    data = build_data(config)
    network = config.architecture.build(config, data)
    own, onto = (limit_kernels(network, *x).ntk[None] for x in ([data.x_train], [data.x_test, data.x_train]))
    return float((kernel_regression(own, onto, data.y_train)[0] - data.y_test).square().mean())


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Errors of Θ∞ against n beside theory, for targets of one patch and of all, for the atlas."""
    for index, (part, name) in enumerate(((ONE, "one patch"), (ALL, "all patches"))):
        found = list(curves(table, part))
        errors = np.array([curve.measured for curve in found])
        sem = errors.std(0, ddof=1) / np.sqrt(len(errors))
        style = look(index)
        axes.errorbar(SIZES, errors.mean(0), sem, capsize=2, label=f"target of {name}", **{**style, "linestyle": ""})
        theory = np.mean([curve.theory for curve in found], axis=0)
        axes.plot(SIZES, theory, label="theory", **{**style, "marker": ""})
    axes.set(xscale="log", yscale="log", xlabel="patterns n", ylabel="mean squared error, unseen patterns")
    axes.legend(loc="lower left")
