"""Networks with scales of an inverse gamma law: outputs as they begin, how lazy they are, and what they predict."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.baselines.base import Prediction
from feature_lazy.study.baselines.compute import Bench, least_squares
from feature_lazy.study.baselines.gp import GaussianProcess
from feature_lazy.study.baselines.student import StudentProcess
from feature_lazy.study.estimate import Estimate, average, estimate
from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import Joined, law
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.scale_mixtures import PAPER

SCALE, CHANGE, SHARE = "prior/scale", "kernel/change", "kernel/W1/share"
MEMBERS = 50
"""Networks from which on their law is judged."""
ROUNDING = 1e-10
LOGARITHM = Expected(1, 0.1, "finite h")
"""Networks of width h make the variance of n whitened outputs larger by n/h, 1 % of that of ln s at n = 20, h = 256."""
KOLMOGOROV = Bound(1.63, "below")
"""√M times the distance of M values from their own law is above it once in a hundred times."""
ODDS = Expected(1, 0.02, "finite h")
"""s multiplies the share of W0, Θ₀ being (1/h) Σ W1² φ′φ′ x·x′/d there, and does not enter that of W1."""
LAZY = Expected(-0.5, 0.02, "training follows the flow to 1 %")
"""Where the output layer stays, F = α√s·(g − g₀) for the network g of prior=fixed with the same seed: to train it is to
train g at α√s, with time in units of s. The kernel change of lazy networks is ~ 1/α (eq. 24)."""
CALIBRATED = Expected(1, 0.5, "labels of another kernel")
"""An independent calculation has 0.88, and 0.87 and 1.32 with labels 5 times and a fifth of the prior's; a Gaussian
process has 0.46, 0.02 and 11.5."""
ENDED = ("converged", "t_end")
SAYS = {"paper": PAPER, "outcomes": ENDED, "quiet": True}
MANY = f"prior=inverse_gamma and {MEMBERS} seeds at one width, of networks whose limit is known"
TASK = "prior=inverse_gamma, loss=mse and centred=false, of networks whose limit is known"


@law(
    "variance of ln f₀ᵀΣ⁻¹f₀ over networks, over the Student-t process'",
    where="limit of infinite width, ψ′(a) of ln s and ψ′(n/2) of χ²",
    needs=(SCALE,),
    expected=LOGARITHM,
    lacks=MANY,
    **SAYS,
)
def logarithm(table: pd.DataFrame) -> Estimate | None:
    """1; of a Gaussian process it is a tenth."""
    from scipy.special import polygamma

    if (found := squares(table)) is None:
        return None
    n, a, _, values = found
    logs, expected = np.log(values), float(polygamma(1, a) + polygamma(1, n / 2))

    def variance(weights: np.ndarray) -> np.ndarray:
        count = weights.sum(1)
        means = (weights @ logs) / count
        return ((weights @ logs**2) / count - means**2) * len(logs) / (len(logs) - 1) / expected

    return estimate(variance, len(logs))


@law(
    "Kolmogorov's distance of f₀ᵀΣ⁻¹f₀ from the Student-t process', times √M",
    where="limit of infinite width",
    needs=(SCALE,),
    expected=KOLMOGOROV,
    lacks=MANY,
    **SAYS,
)
def kolmogorov(table: pd.DataFrame) -> Estimate | None:
    """Below 1.63; all M networks make one distance, whose error is that of rounding."""
    if (found := squares(table)) is None:
        return None
    value = float(_distances(np.ones((1, len(found[3]))), _student(*found))[0])
    return Estimate(float(np.sqrt(len(found[3]))) * value, ROUNDING, len(found[3]))


@law(
    "the same distance from a Gaussian process less that from Student's",
    where="limit of infinite width",
    needs=(SCALE,),
    expected=ABOVE_ZERO,
    lacks=f"a > 1, {MANY}",
    **SAYS,
)
def against_gaussian(table: pd.DataFrame) -> Estimate | None:
    """Above 0; the Gaussian process has the same variance."""
    from scipy.special import gammainc

    if (found := squares(table)) is None or found[1] <= 1:
        return None
    n, a, b, values = found
    ours, others = _student(*found), gammainc(n / 2, values * (a - 1) / (2 * b))
    return estimate(lambda weights: _distances(weights, others) - _distances(weights, ours), len(values))


@law(
    "hidden layer's share of Θ₀ over the output layer's, against s",
    where="in this parametrisation",
    needs=(SCALE, SHARE),
    expected=ODDS,
    lacks="one hidden layer, and several seeds of prior=inverse_gamma",
    **SAYS,
)
def odds(table: pd.DataFrame) -> Estimate | None:
    """1: of two members the one of larger s learns more by its hidden layer, and is lazier."""
    runs = [run for run in table.get("run", ()) if SHARE in run.history]
    if len(runs) < len(table) or table["alpha"].nunique() > 1 or table["h"].nunique() > 1:
        return None
    share = np.array([run.history[SHARE][0] for run in runs])
    x, y = np.log(table[SCALE].to_numpy(float)), np.log(1 / share - 1)

    def slope(weights: np.ndarray) -> np.ndarray:
        count = weights.sum(1)
        xm, ym = (weights @ x) / count, (weights @ y) / count
        return ((weights @ (x * y)) / count - xm * ym) / ((weights @ x**2) / count - xm**2)

    return estimate(slope, len(x)) if len(x) > 2 else None


@law(
    "kernel change over that of prior=fixed, against s, the output layer staying",
    where="in this parametrisation",
    needs=(SCALE, CHANGE),
    expected=LAZY,
    lacks="lazy networks of both priors with dynamics.train without the output layer",
    across=Joined("prior", "inverse_gamma", "fixed"),
    **SAYS,
)
def laziness(pairs: pd.DataFrame) -> Estimate | None:
    """−½, by least squares through the origin: at s = 1 both are one network."""
    if any(_trained_last(run) for run in pairs["run"]):
        return None
    x = np.log(pairs[SCALE].to_numpy(float))
    y = np.log((pairs[CHANGE] / pairs[f"{CHANGE}_other"]).to_numpy(float))
    return estimate(lambda weights: (weights @ (x * y)) / (weights @ x**2), len(x))


@law(
    "−ln p(y) of the Gaussian process less that of Student's, test set",
    where="predictive density",
    needs=(SCALE,),
    expected=ABOVE_ZERO,
    lacks=TASK,
    **SAYS,
)
def density(table: pd.DataFrame) -> Estimate | None:
    """Above 0 whatever the labels' scale; nats, the error bar is over patterns."""
    found = predicted(table)
    return None if found is None else average((found[1].log_loss(found[0]) - found[2].log_loss(found[0])).numpy())


@law(
    "variance over squared error, Student's process, test set",
    where="calibration",
    needs=(SCALE,),
    expected=CALIBRATED,
    lacks=TASK,
    **SAYS,
)
def calibration(table: pd.DataFrame) -> Estimate | None:
    """1 whatever the labels' scale; the error bar is over patterns."""
    found = predicted(table)
    if found is None or found[2].variance is None:
        return None
    variance, error = found[2].variance.numpy(), (found[0] - found[2].F_test).square().numpy()
    return estimate(lambda weights: (weights @ variance) / (weights @ error), len(variance))


def squares(table: pd.DataFrame) -> tuple[int, float, float, np.ndarray] | None:
    """n, a, b, and f₀ᵀΣ⁻¹f₀ of networks on n test patterns, Σ that of prior=fixed; None where they are too few."""
    runs = [run for run in table.get("run", ()) if isinstance(run, Run) and "f0_test" in run.outputs]
    if len(runs) < max(MEMBERS, len(table)) or table["h"].nunique() > 1 or table["alpha"].nunique() > 1:
        return None
    prior = runs[0].config.get("prior", {})
    try:
        kernels = Bench().ready(runs[0], "infinite_nngp")[0]
    except FeatureLazyError:
        return None
    if prior.get("kind") != "inverse_gamma" or runs[0].outputs["f0_test"].ndim > 1:
        return None
    f0 = torch.from_numpy(np.stack([run.outputs["f0_test"] for run in runs])).double()
    factor = torch.linalg.cholesky(kernels.between(kernels.x_test, None).double())
    white = torch.linalg.solve_triangular(factor, f0.mT, upper=False)
    return f0.shape[1], float(prior["a"]), float(prior["b"]), white.square().sum(0).numpy()


def predicted(table: pd.DataFrame) -> tuple[Tensor, Prediction, Prediction] | None:
    """What test patterns have, and the Gaussian and the Student-t process; None where runs have no such prior."""
    run = next((run for run in table.get("run", ()) if isinstance(run, Run)), None)
    if run is None or run.config.get("prior", {}).get("kind") != "inverse_gamma" or run.config.get("centred", True):
        return None
    try:
        kernels, task, data = Bench().ready(run, "infinite_nngp")
        config = from_plain(run.config)
        gaussian = GaussianProcess()
        if list(gaussian.problems(config)) or data.n_outputs > 1:
            return None
        pair = gaussian.fit(kernels, task), StudentProcess().settled(config, 0.0).fit(kernels, task)
    except (FeatureLazyError, ValueError):
        return None
    return (least_squares(task.loss, data.y_test, data.n_outputs), *pair)


def _student(n: int, a: float, b: float, values: np.ndarray) -> np.ndarray:
    """Distribution function of f₀ᵀΣ⁻¹f₀ of the process at its values: that of F with n and 2a degrees of freedom."""
    from scipy.special import fdtr

    return fdtr(n, 2 * a, values * a / (b * n))


def _distances(weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Kolmogorov's distance of weighted values, (B, M), from the law that they have these places in, (M,): (B,)."""
    order = np.argsort(places)
    steps = weights[:, order] / weights.sum(1, keepdims=True)
    above = steps.cumsum(1)
    return np.maximum(np.abs(above - places[order]), np.abs(above - steps - places[order])).max(1)


def _trained_last(run: Run) -> bool:
    """Whether the output layer is trained."""
    trained = run.config.get("dynamics", {}).get("train", ["all"])
    return bool({"all", "last", f"W{run.config['architecture'].get('depth')}"} & {*trained})


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Kernel change against √s where the output layer stays, with both priors, for the atlas."""
    stays = table[table["run"].map(lambda run: not _trained_last(run))]
    for index, (name, part) in enumerate((("s of each network", stays[SCALE].notna()), ("s = 1", stays[SCALE].isna()))):
        x = stays[part][SCALE].fillna(1.0) ** 0.5
        axes.plot(x, stays[part][CHANGE], linestyle="none", **{**look(index), "marker": "o"}, label=name)
    middle = float(stays[CHANGE].median())
    guide(axes, (0.5, 3.0), (1.0, middle), -1, "$s^{-1/2}$")
    axes.set(xscale="log", yscale="log", xlabel="√s", ylabel="kernel change ‖Θ − Θ₀‖/‖Θ₀‖")
    axes.legend()
    tidy(axes.xaxis)
    tidy(axes.yaxis)
