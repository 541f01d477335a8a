"""Reference values: architectures, and limits of infinite width."""

import itertools

import numpy as np
from scipy.integrate import solve_ivp

from tests.data.systems.toy import FACTOR, network, start


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


def equilibrium(sigma_w, sigma_u, sigma_v, x):
    """Σ∞ and Θ∞ of z = tanh-layers that share a weight, after 1, 2 and infinitely many of them, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()

    def both(k):
        """E φφ and E φ′φ′ for every pair of patterns, u = √q a and v = (c/√q) a + √(r − c²/q) b."""
        value, slope = np.empty_like(k), np.empty_like(k)
        for i, j in itertools.product(range(len(k)), repeat=2):
            u = np.sqrt(k[i, i]) * nodes[:, None] + 0 * nodes
            v = k[i, j] / np.sqrt(k[i, i]) * nodes[:, None]
            v = v + np.sqrt(max(k[j, j] - k[i, j] ** 2 / k[i, i], 0)) * nodes
            mass = weights[:, None] * weights
            value[i, j] = (mass * np.tanh(u) * np.tanh(v)).sum()
            slope[i, j] = (mass / np.cosh(u) ** 2 / np.cosh(v) ** 2).sum()
        return value, slope

    base = sigma_u**2 * x @ x.T / x.shape[1]
    k, ntk, found = base, base, {}
    for layer in range(1, 60):
        value, slope = both(k)
        if layer in (1, 2, 59):
            found[layer] = [(sigma_v**2 * one).tolist() for one in (value, value + slope * ntk)]
        k, ntk = sigma_w**2 * value + base, sigma_w**2 * value + base + sigma_w**2 * slope * ntk
    return found


def deep_equilibrium():
    x = np.random.default_rng(4).standard_normal((3, 5))
    sigmas = (0.6, 0.9, 1.3)
    found = equilibrium(*sigmas, x)
    return {
        "made": "Gauss-Hermite quadrature of 120 × 120 nodes, recursions layer by layer; the last after 59 layers",
        "x": x.tolist(),
        "sigmas": list(sigmas),
        "nngp": [found[layer][0] for layer in (59, 1, 2)],
        "ntk": [found[layer][1] for layer in (59, 1, 2)],
    }


def infinite_feature_learning():
    """The limit of a linear network that learns features: the flow of β = E vu, M = E uuᵀ and E vvᵀ, here E v²."""
    random = np.random.default_rng(0)
    d, c, n, t, alpha = 4, 1, 6, 5.0, 0.7
    x, x_test = random.standard_normal((n, d)), random.standard_normal((5, d))
    y = random.standard_normal((n, c))

    def parts(state):
        return np.split(state, [c * d, c * d + d * d])

    def flow(_, state):
        beta, m, s = (part.reshape(-1, k) for part, k in zip(parts(state), (d, d, c), strict=True))
        # −∂𝓛/∂f, with 𝓛 = Σ(F − y)²/2α²P of F = αβx/√d.
        g = -(alpha * x @ beta.T / np.sqrt(d) - y).T @ x / (alpha * n * np.sqrt(d))
        both = g.T @ beta, g @ beta.T
        return np.concatenate([(g @ m + s @ g).ravel(), (both[0] + both[0].T).ravel(), (both[1] + both[1].T).ravel()])

    begin = np.concatenate([np.zeros(c * d), np.eye(d).ravel(), np.eye(c).ravel()])
    end = solve_ivp(flow, (0, t), begin, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    beta, m, s = (part.reshape(-1, k) for part, k in zip(parts(end), (d, d, c), strict=True))
    return {
        "made": "SciPy's DOP853 at 1e-11 on the closed equations of the means over units",
        "t": t,
        "alpha": alpha,
        "x": x.tolist(),
        "y": y.tolist(),
        "x_test": x_test.tolist(),
        "F_test": (alpha * x_test @ beta.T / np.sqrt(d)).tolist(),
        "m": m.tolist(),
        "s": s.tolist(),
    }


def radial_basis():
    """f of Gaussians with one precision matrix and its gradients, written out; and what is said of a matrix."""
    random = np.random.default_rng(6)
    d, h = 3, 4
    x, gamma, centres, w = (random.standard_normal(shape) for shape in ((5, d), (d, d), (h, d), (h,)))
    apart = x[:, None] - centres
    seen = apart @ gamma.T
    gaussians = np.exp(-(seen**2).sum(2) / 2)
    pulls = gaussians * w / np.sqrt(h)
    by_gamma = -np.einsum("pk,pki,pkj->pij", pulls, seen, apart)
    by_centres = pulls[:, :, None] * (seen @ gamma)
    metric = gamma.T @ gamma
    values, vectors = np.linalg.eigh(metric)
    importance = (np.abs(vectors) * values).sum(1)
    top, along = vectors[:, -1], np.array([1.0, 2.0, 0.0])
    return {
        "made": "NumPy: exponentials of differences, derivatives by hand",
        "x": x.tolist(),
        "gamma": gamma.tolist(),
        "centres": centres.tolist(),
        "weights": w.tolist(),
        "f": (gaussians @ w / np.sqrt(h)).tolist(),
        "jacobian": np.concatenate([by_gamma.reshape(5, -1), by_centres.reshape(5, -1), gaussians / 2], 1).tolist(),
        "importance": (importance / importance.sum()).tolist(),
        "top_share": float(values[-1] / values.sum()),
        "along": along.tolist(),
        "alignment": float(abs(top @ along) / np.linalg.norm(along)),
    }


def score_estimation():
    """E[X₀|X_t = x] by the trapezoidal rule over X₀ of its density times that of the noise."""
    cases = {}
    for means, sigma in (([-1.0, 1.0], 0.3), ([-2.0, 0.5, 1.0], 0.7)):
        x0 = np.linspace(-12, 12, 200_001)
        prior = sum(np.exp(-((x0 - mean) ** 2) / (2 * sigma**2)) for mean in means)
        x = [-2.5, -1.0, -0.1, 0.0, 0.4, 1.3, 3.0] * 3
        t = [0.05] * 7 + [0.6] * 7 + [2.0] * 7
        expected = []
        for place, time in zip(x, t, strict=True):
            a = np.exp(-time)
            weight = prior * np.exp(-((place - a * x0) ** 2) / (2 * (1 - a**2)))
            expected.append(float(np.trapezoid(weight * x0, x0) / np.trapezoid(weight, x0)))
        cases[f"{len(means)} components"] = {"means": means, "sigma": sigma, "x": x, "t": t, "expected": expected}
    return {"made": "trapezoidal rule on 200001 points of X₀", "cases": cases}


def surrogate_gradients():
    """Kernels of sign networks with the slope of erf(mz) for 2δ at one side, and what a flow makes of them."""
    random = np.random.default_rng(7)
    x, y, m, b, time = random.standard_normal((6, 2)), np.array([1.0, -0.5, 0.3, 0.8]), 1.5, 0.3, 7.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()

    def signs(p, q, c):
        """E sign u sign v = 1 − 2 P(signs differ), from the angle between two random half planes."""
        return 1 - 2 * np.arccos(np.clip(c / np.sqrt(p * q), -1, 1)) / np.pi

    def jump(p, q, c):
        """E 2δ(u)σ′(v): the density of u at 0, and v given that, by quadrature."""
        v = np.sqrt(max(q - c**2 / p, 0)) * nodes
        return 2 / np.sqrt(2 * np.pi * p) * weights @ (2 * m / np.sqrt(np.pi) * np.exp(-((m * v) ** 2)))

    def layer(k, rule):
        return np.array([[rule(k[i, i], k[j, j], k[i, j]) for j in range(len(k))] for i in range(len(k))])

    start = x @ x.T / 2 + b**2
    nngp, ntk, kernels, means, covariances = start, start, [], [], []
    for _ in range(2):
        values = layer(nngp, signs) + b**2
        ntk, nngp = values + ntk * layer(nngp, jump), values
        train = ntk[:4, :4]

        def flow(_, state, ntk=ntk, train=train):
            """Outputs of six starts and of the labels, all that F at a time is linear in: F = A f₀ + B y."""
            f = state.reshape(6, 7)
            error = np.c_[f[:4, :6], f[:4, 6] - y]
            return -np.concatenate([train @ error, ntk[4:, :4] @ error]).ravel() / 4

        first = np.c_[np.eye(6), np.zeros(6)].ravel()
        end = solve_ivp(flow, (0, time), first, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1].reshape(6, 7)
        kernels.append([ntk.tolist(), nngp.tolist()])
        means.append(end[4:, 6].tolist())
        covariances.append((end[4:, :6] @ nngp @ end[4:, :6].T).tolist())
    return {
        "made": "orthants' angles; E 2δ(u)σ′(v) by the density of u at 0 and 200 nodes; the flow by DOP853 to 1e-11",
        "x": x.tolist(),
        "y": y.tolist(),
        "slope": m,
        "bias": b,
        "time": time,
        "kernels": kernels,
        "means": means,
        "covariances": covariances,
    }
