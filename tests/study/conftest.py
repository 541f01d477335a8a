"""Tables of sweeps that follow planted laws, without any file: quick enough to make hundreds."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

XS = 10.0 ** np.arange(-4, 6)
WIDTHS = (30, 100, 300)
STAR, FEATURE, LAZY, WEIGHTS = 11.0, -1.5, -1.0, -0.25
SPEED, OUTPUT = "preactivations/W0/speed", "preactivations/W1/speed"


def kernel_change(x):
    """Exponents −1 above √h·α = 1 and −1.5 below, a value of the grid: its logarithm is straight between the XS."""
    return np.where(x > 1, x**LAZY, x**FEATURE) * STAR


def noise(random, shape, sd):
    """ln of a factor for each (h, x, seed).

    Of a seed at all widths, of a network at all x, and of a run, in equal parts; and exponents of x that differ from
    seed to seed by sd/10, as initial weights are shared across x.
    """
    _, xs, seeds = shape
    tilt = sd / 10 * random.standard_normal((1, 1, seeds)) * np.linspace(-1, 1, xs)[None, :, None] * np.log(XS[-1])
    parts = [(1, 1, seeds), (shape[0], 1, seeds), shape]
    return sum(sd / 3**0.5 * random.standard_normal(part) for part in parts) + tilt


def sweep(rng=0, *, seeds=3, widths=WIDTHS, xs=XS, sd=0.05, star=lambda h: 1.0, fall=0.0, runs=True, **columns):
    """A row for each run.

    Args:
        rng: seed of the noise.
        seeds: how many.
        widths: h.
        xs: √h·α, a part of XS.
        sd: of the noise in ln; 0: the laws themselves.
        star: factor on x*, as a function of h.
        fall: exponent with which the kernel change falls with h at √hα > 100, as theory has it to first order in 1/α.
        runs: whether rows have a run to read, which takes time.
        columns: constant columns.
    """
    random = np.random.default_rng(rng)
    shape = (len(widths), len(xs), seeds)
    h, x, seed = (part.ravel() for part in np.meshgrid(widths, xs, np.arange(seeds), indexing="ij"))
    scale = np.array([star(one) for one in h])

    def noisy(values):
        return values * np.exp(noise(random, shape, sd).ravel())

    rows = pd.DataFrame({"h": h, "sqrt_h_alpha": x, "alpha": x / np.sqrt(h), "seed": seed, "outcome": "converged"})
    rows["kernel_change"] = noisy(kernel_change(x / scale) * np.where(x > 100, (h / 100.0) ** -fall, 1.0))
    rows["weights/change"] = noisy(np.where(x > 1, x**LAZY, x**WEIGHTS) / np.sqrt(h))
    rows["t_half"] = noisy(3.3 * np.minimum(x, 1.0))
    rows["test/error"] = 0.1 + 0.05 / (1 + x / scale) + 0.01 * sd * random.standard_normal(len(x))
    rows[SPEED], rows[OUTPUT] = noisy(1 / x), noisy(np.sqrt(h) / x)
    rows = rows.assign(**{"L": 3, "P": 20, "activation": "softplus", **columns})
    if not runs:
        return rows
    predictors = random.standard_normal((len(x), 200)) / np.sqrt(h)[:, None]
    rows["run"] = [run(*one) for one in zip(h, seed, rows["t_half"], predictors, strict=True)]
    return rows


def run(h, seed, t_half, deviation):
    """A stored run as the analysis sees it: an output that grows as t·√h/0.6t½, a predictor beside the labels."""
    t = t_half * np.geomspace(1e-3, 3, 30)
    history = {"t": np.append(0, t), "output/df_rms": np.append(0, t * np.sqrt(h) / (0.6 * t_half))}
    labels = np.where(np.arange(len(deviation)) % 2, -1.0, 1.0)
    outputs = {"F_test": labels + deviation, "y_test": labels}
    return SimpleNamespace(history=history, outputs=outputs, columns={"seed": seed}, config={}, inputs={})
