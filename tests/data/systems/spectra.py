"""Reference values: spectra of weights, and of Hessians."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import kstest, pareto

from tests.data.systems.toy import network, start


def setol():
    """The tail of least Kolmogorov–Smirnov distance by SciPy's Pareto law, and that of the trace-log condition."""
    random = np.random.default_rng(0)
    values = np.sort(np.concatenate([random.uniform(0.01, 1, 30), 1 + random.pareto(1.6, 40)]))
    best = (np.inf, np.nan, np.nan)
    for begin in values[:-1]:
        part = values[values >= begin]
        fit = minimize_scalar(
            lambda alpha, part=part, begin=begin: -pareto.logpdf(part, alpha - 1, scale=begin).sum(),
            bounds=(1 + 1e-6, 100),
            method="bounded",
            options={"xatol": 1e-12},
        )
        distance = kstest(part, pareto(fit.x - 1, scale=begin).cdf).statistic
        best = min(best, (float(distance), float(fit.x), float(begin)))
    left, product = [*values], 1.0
    while left and product * left[-1] / values.mean() >= 1:
        last = left.pop()
        product *= last / values.mean()
    return {
        "made": "scipy.stats: kstest against pareto, its exponent by minimize_scalar of the negative log-likelihood",
        "eigenvalues": values.tolist(),
        "alpha": best[1],
        "ks": best[0],
        "lambda_min": best[2],
        "erg_lambda_min": float(last),
    }


def loss_landscapes():
    """Ends of the Hessian's spectrum, and K_½ by its eigenvectors, of the small network with the squared error."""
    x, _, y, w0, h = start()
    alpha, step = 0.7, 1e-4

    def gradient(w):
        f, jacobian = network(w, x, h)
        return jacobian.T @ (alpha * f - y) / (alpha * len(x))

    rows = [(gradient(w0 + step * e) - gradient(w0 - step * e)) / (2 * step) for e in np.eye(len(w0))]
    values, vectors = np.linalg.eigh((np.array(rows) + np.array(rows).T) / 2)
    first = np.random.default_rng(4).standard_normal(len(w0))
    weights = (vectors.T @ first) ** 2 / (first @ first)
    parts = np.sqrt(np.abs(values * weights))
    return {
        "made": "central differences of the gradient, numpy.linalg.eigh; F = αf, loss ½(y − F)²/(α²P)",
        "h": h,
        "alpha": alpha,
        "x": x.tolist(),
        "y": y.tolist(),
        "weights": w0.tolist(),
        "start": first.tolist(),
        "re": abs(values[0] / values[-1]),
        "khn": parts[values < 0].sum() / parts[values > 0].sum(),
        "lambda_1": values[-1],
    }


def redundant_representations():
    """Least squares of a layer on three of its units, and the correlations of what is left; the last unit is dead."""
    random = np.random.default_rng(5)
    units = np.maximum(random.standard_normal((20, 4)) @ random.standard_normal((4, 9)), 0)
    units += 0.1 * random.standard_normal(units.shape)
    units[:, -1] = 0
    centred = units - units.mean(0)
    left = centred - centred[:, :3] @ np.linalg.lstsq(centred[:, :3], centred, rcond=None)[0]
    correlations = np.abs(np.corrcoef(left[:, 3:-1].T))
    n = len(correlations)
    return {
        "made": "numpy.linalg.lstsq of centred units, numpy.corrcoef of its residuals",
        "units": units.tolist(),
        "r2": 1 - (left**2).sum() / (centred**2).sum(),
        "residual_correlation": (correlations.sum() - n) / (n * (n - 1)),
    }
