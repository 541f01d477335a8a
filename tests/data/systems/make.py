"""Make the reference values of the systems, with NumPy and SciPy alone: python -m tests.data.systems.make

Nothing of the package is used: networks, gradients, kernels and their limits are written out here.
"""

import json
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import erf

HERE = Path(__file__).parent
FACTOR = (2 / np.pi * np.arcsin(2 / 3)) ** -0.5
"""a of a·erf with E φ² = 1: Williams' kernel at variance 1."""


def slope(z):
    return FACTOR * 2 / np.sqrt(np.pi) * np.exp(-(z**2))


def network(w, x, h):
    """f = W¹φ(W⁰x/√d)/√h and its Jacobian, for flat weights, W⁰ before W¹."""
    d = x.shape[1]
    first, last = w[: h * d].reshape(h, d), w[h * d :]
    z = x @ first.T / np.sqrt(d)
    phi = FACTOR * erf(z)
    by_first = (slope(z) * last / np.sqrt(h))[:, :, None] * x[:, None, :] / np.sqrt(d)
    return phi @ last / np.sqrt(h), np.concatenate([by_first.reshape(len(x), -1), phi / np.sqrt(h)], axis=1)


def start():
    random = np.random.default_rng(0)
    d, h, n_train, n_test = 3, 6, 4, 5
    x = random.standard_normal((n_train + n_test, d))
    x *= np.sqrt(d) / np.linalg.norm(x, axis=1, keepdims=True)
    return x[:n_train], x[n_train:], np.array([1.0, -1, 1, -1]), random.standard_normal(h * d + h), h


def linear_models():
    """The gradient flow of a small network beside that of its linear model, both by DOP853 to 1e-12."""
    x, tests, y, w0, h = start()
    f0, jacobian = network(w0, x, h)
    t0, onto_tests = network(w0, tests, h)
    times = np.array([0.0, 0.5, 3.0, 20.0])

    def flow(_, w):
        f, own = network(w, x, h)
        return own.T @ (y - (f - f0)) / len(x)

    def linear(_, w):
        return jacobian.T @ (y - jacobian @ (w - w0)) / len(x)

    ways = [
        solve_ivp(rule, (0, times[-1]), w0, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=times).y.T
        for rule in (flow, linear)
    ]
    gaps = [
        np.sqrt(np.mean((network(w, tests, h)[0] - t0 - onto_tests @ (v - w0)) ** 2))
        for w, v in zip(*ways, strict=True)
    ]
    return {
        "made": "solve_ivp(DOP853, rtol=1e-12) of both flows at α = 1, F = f − f₀, loss ½(y − F)²/P, a·erf",
        "h": h,
        "x_train": x.tolist(),
        "x_test": tests.tolist(),
        "y": y.tolist(),
        "times": times.tolist(),
        "weights": ways[0].tolist(),
        "gap": gaps,
    }


def ntk():
    """Θ of a small network, and Θ∞ of one hidden layer by Williams' kernel and its derivative."""
    x, _, _, w0, h = start()
    _, jacobian = network(w0, x, h)
    sigma = x @ x.T / x.shape[1]
    q = 1 + 2 * np.diag(sigma)
    scale = np.outer(q, q)
    values = FACTOR**2 * 2 / np.pi * np.arcsin(2 * sigma / np.sqrt(scale))
    slopes = FACTOR**2 * 4 / np.pi / np.sqrt(scale - 4 * sigma**2)
    limit = values + sigma * slopes
    theta = jacobian @ jacobian.T
    return {
        "made": "explicit Jacobian of f = W¹φ(W⁰x/√d)/√h with a·erf; the limit by Williams (1997)",
        "h": h,
        "x": x.tolist(),
        "weights": w0.tolist(),
        "limit": limit.tolist(),
        "deviation": float(np.linalg.norm(theta - limit) / np.linalg.norm(limit)),
    }


if __name__ == "__main__":
    for made in (linear_models, ntk):
        (HERE / f"{made.__name__}.json").write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
