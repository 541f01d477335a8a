"""Make the reference values of the systems, with NumPy and SciPy alone: python -m tests.data.systems.make

Nothing of the package is used: networks, gradients, kernels and their limits are written out here.
"""

import itertools
import json
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
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


def label_gradient_alignment():
    """Correlation of the entries of Θ with those of yyᵀ, by an explicit Jacobian."""
    x, _, y, w0, h = start()
    _, jacobian = network(w0, x, h)
    theta = jacobian @ jacobian.T
    return {
        "made": "np.corrcoef of the entries of JJᵀ and of yyᵀ; f = W¹φ(W⁰x/√d)/√h with a·erf",
        "h": h,
        "x": x.tolist(),
        "y": y.tolist(),
        "weights": w0.tolist(),
        "lga": float(np.corrcoef(theta.ravel(), np.outer(y, y).ravel())[0, 1]),
    }


def committee(w, x, h, eps):
    """f = Σ φ(w·x/√d)/√h with φ(z) = z + εz²/2, and its Jacobian."""
    d = x.shape[1]
    z = x @ w.reshape(h, d).T / np.sqrt(d)
    slopes = (1 + eps * z) / np.sqrt(h * d)
    return (z + eps / 2 * z**2).sum(1) / np.sqrt(h), (slopes[:, :, None] * x[:, None, :]).reshape(len(x), -1)


def grokking():
    """The flow of f = Σ φ(w·x/√d)/√h, φ(z) = z + εz²/2, to a quadratic function, by DOP853 to 1e-12."""
    random = np.random.default_rng(1)
    d, h, n_train, n_test, eps, alpha = 4, 6, 7, 9, 0.25, 0.2
    x, tests = random.standard_normal((n_train, d)), random.standard_normal((n_test, d))
    w0 = random.standard_normal(h * d)
    y, y_test = (np.square(part[:, 0]) / 2 for part in (x, tests))

    def flow(_, w):
        f, jacobian = committee(w, x, h, eps)
        return jacobian.T @ (y - alpha * (f - committee(w0, x, h, eps)[0])) / alpha / n_train

    times = np.array([0.1, 1.0, 10.0, 100.0])
    found = solve_ivp(
        flow, (0, times[-1]), w0, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=times, dense_output=True
    )

    def predictor(w, x):
        return alpha * (committee(w, x, h, eps)[0] - committee(w0, x, h, eps)[0])

    def unfit(t):
        return np.mean((predictor(found.sol(t), x) - y) ** 2) / 2 - 0.1 * y_test.var() / 2

    return {
        "made": "solve_ivp(DOP853, rtol=1e-12), F = α(f − f₀), loss ½(y − F)²/P; t_fit by brentq on its dense output",
        "h": h,
        "eps": eps,
        "alpha": alpha,
        "x_train": x.tolist(),
        "x_test": tests.tolist(),
        "y_train": y.tolist(),
        "y_test": y_test.tolist(),
        "weights": w0.tolist(),
        "times": times.tolist(),
        "F_test": [predictor(w, tests).tolist() for w in found.y.T],
        "t_fit": brentq(unfit, 0.01, 100),
    }


def three_layers(w, x, h):
    """f = W²φ(W¹φ(W⁰x/√d)/√h)/√h, its Jacobian, and of each layer its inputs times their factor, and its signals."""
    d = x.shape[1]
    w0, w1, w2 = w[: h * d].reshape(h, d), w[h * d : h * (d + h)].reshape(h, h), w[h * (d + h) :]
    u0 = x / np.sqrt(d)
    z0 = u0 @ w0.T
    u1 = FACTOR * erf(z0) / np.sqrt(h)
    z1 = u1 @ w1.T
    u2 = FACTOR * erf(z1) / np.sqrt(h)
    s2 = np.ones((len(x), 1))
    s1 = slope(z1) * w2 / np.sqrt(h)
    s0 = slope(z0) * (s1 @ w1) / np.sqrt(h)
    pairs = [(u0, s0), (u1, s1), (u2, s2)]
    jacobian = np.concatenate([(s[:, :, None] * u[:, None, :]).reshape(len(x), -1) for u, s in pairs], axis=1)
    return u2 @ w2, jacobian, pairs


def mean_eigenvalue(part, n):
    """Of the eigenvalues that n patterns give a matrix."""
    return np.trace(part) / min(len(part), n)


def of_layers(square, layers, near, shift):
    """G of the layers whose distance is at most ``near``, with λ, ``shift`` of the mean of each layer or of all."""
    n, found = shift[1], np.zeros_like(square)
    for i, rows in enumerate(layers):
        for j, columns in enumerate(layers):
            if abs(i - j) <= near:
                found[rows, columns] = square[rows, columns]
    each = [mean_eigenvalue(square if near > 1 else square[part, part], n) for part in layers]
    return found + shift[0] * np.diag(np.repeat(each, [part.stop - part.start for part in layers]))


def by_factors(pairs, parts, shift):
    """B⁻¹∇A⁻¹ of each layer, of ∇ by layers."""
    damping, n = shift
    found = []
    for (u, s), part in zip(pairs, parts, strict=True):
        a, b = (m.T @ m / n for m in (u, s))
        a, b = (m + damping * mean_eigenvalue(m, n) * np.eye(len(m)) for m in (a, b))
        found.append((np.linalg.solve(b, part.reshape(len(b), len(a)) / n) @ np.linalg.inv(a)).ravel())
    return np.concatenate(found)


def by_units(pairs, force, shift):
    """G⁻¹∇ of a block for each unit, of ∇ by patterns."""
    damping, n = shift
    found = []
    for u, s in pairs:
        for i in range(s.shape[1]):
            own = s[:, i : i + 1] * u
            g = own.T @ own
            found.append(np.linalg.solve(g + damping * np.trace(g) / n * np.eye(len(g)), own.T @ force))
    return np.concatenate(found)


def natural_gradient():
    """One update by each part of G, as N × N matrices: mse, α = 3, F = α(f − f₀), with λ of a hundredth."""
    random = np.random.default_rng(1)
    d, h, n, alpha, step, shift = 6, 7, 4, 3.0, 0.5, (1e-2, 4)
    x = random.standard_normal((n, d))
    y = np.array([1.0, -1, 1, -1])
    w0 = random.standard_normal(h * d + h * h + h)
    w = w0 + 0.1 * random.standard_normal(len(w0))
    f0, _, _ = three_layers(w0, x, h)
    f, jacobian, pairs = three_layers(w, x, h)
    force = alpha * (f - f0) - y
    layers = [slice(a, b) for a, b in itertools.pairwise(np.cumsum([0, h * d, h * h, h]))]
    square, gradient = jacobian.T @ jacobian, jacobian.T @ force / alpha
    updates = {
        "exact": step * np.linalg.solve(of_layers(square, layers, 9, shift), gradient),
        "block_diagonal": step / 3 * np.linalg.solve(of_layers(square, layers, 0, shift), gradient),
        "block_tridiagonal": step * np.linalg.solve(of_layers(square, layers, 1, shift), gradient),
        "kfac": step / (2 * n + 1) * by_factors(pairs, [gradient[part] for part in layers], shift),
        "unit_wise": step / (2 * h + 1) * by_units(pairs, force / alpha, shift),
    }
    return {
        "made": "explicit Jacobian of three layers with a·erf, G as N × N matrices, each solved",
        "h": h,
        "alpha": alpha,
        "step": step,
        "damping": shift[0],
        "x": x.tolist(),
        "y": y.tolist(),
        "w0": w0.tolist(),
        "weights": w.tolist(),
        **{name: (-moved).tolist() for name, moved in updates.items()},
    }


def learning_rate_transfer():
    """Gradient descent of a small network from its own start, and the Hessian before and after by differences."""
    x, _, y, w0, h = start()
    lr, updates, step = 0.5, 40, 1e-4

    def gradient(w):
        f, own = network(w, x, h)
        return own.T @ (f - y) / len(x)

    def hessian(w):
        """Differences of fourth order: an error of step⁴, and rounding of 1e-16/step."""
        shifts = step * np.eye(len(w))
        parts = [
            (8 * (gradient(w + s) - gradient(w - s)) - (gradient(w + 2 * s) - gradient(w - 2 * s))) / (12 * step)
            for s in shifts
        ]
        return (np.array(parts) + np.array(parts).T) / 2

    w = w0
    for _ in range(updates):
        w = w - lr * gradient(w)
    values = [np.linalg.eigvalsh(hessian(one)) for one in (w0, w)]
    return {
        "made": "gradient descent on ½(y − f)²/P, a·erf; Hessian by differences of fourth order of the gradient",
        "h": h,
        "x": x.tolist(),
        "y": y.tolist(),
        "lr": lr,
        "updates": updates,
        "weights": [w0.tolist(), w.tolist()],
        "largest": [float(one[-1]) for one in values],
        "smallest": [float(one[0]) for one in values],
    }


def batch_size():
    """Second order of λ₁ on batches, in the space of the weights: from the Jacobian's rows, for the squared error."""
    x, tests, _, w0, h = start()
    x = np.concatenate([x, tests])
    _, jacobian = network(w0, x, h)
    n = len(x)
    values, vectors = np.linalg.eigh(jacobian.T @ jacobian / n)
    along = jacobian @ vectors  # (P, N)
    squares = ((along[:, -1:] * along[:, :-1]) ** 2).mean(0)
    return {
        "made": "eigenvectors of JᵀJ/P of an explicit Jacobian; Σ_j E (v₁ᵀG_μv_j)²/(λ₁ − λ_j)·P/(P − 1) over weights",
        "h": h,
        "x": x.tolist(),
        "weights": w0.tolist(),
        "largest": float(values[-1]),
        "shift": float((squares / (values[-1] - values[:-1])).sum() * n / (n - 1)),
    }


def pathological_sharpness():
    """λ_max of F = Σ ∇f_k∇f_kᵀ/T of a small network under batch norm and layer norm, by central differences."""
    random = np.random.default_rng(2)
    d, h, c, t = 3, 5, 4, 6
    x, w0 = random.standard_normal((t, d)), random.standard_normal(h * d + c * h)

    def outputs(w):
        first, last = w[: h * d].reshape(h, d), w[h * d :].reshape(c, h)
        return FACTOR * erf(x @ first.T / np.sqrt(d)) @ last.T / np.sqrt(h)

    ways = {
        "none": lambda f: f,
        "last_mean": lambda f: f - f.mean(0),
        "last_batch_norm": lambda f: (f - f.mean(0)) / f.std(0),
        "last_layer_norm": lambda f: (f - f.mean(1, keepdims=True)) / f.std(1, keepdims=True),
    }
    step, found = 1e-5, {}
    for name, way in ways.items():
        rows = [
            (way(outputs(w0 + step * e)) - way(outputs(w0 - step * e))).ravel() / (2 * step) for e in np.eye(len(w0))
        ]
        jacobian = np.array(rows)
        found[name] = float(np.linalg.eigvalsh(jacobian @ jacobian.T / t)[-1])
    return {
        "made": "central differences of normalised outputs of f = W¹φ(W⁰x/√d)/√h with a·erf, C = 4; eigvalsh",
        "h": h,
        "x": x.tolist(),
        "weights": w0.tolist(),
        **found,
    }


def more_is_better():
    """Errors of ridge regression on Gaussian patterns and features, by Monte Carlo."""
    m = 600
    index = np.arange(1, m + 1.0)
    eigenvalues, squares = index**-1.5, index**-1.25
    squares /= squares.sum()
    cases = [(64, 32, 0.1, 0.0), (64, 256, 0.1, 0.0), (64, None, 0.1, 0.0), (128, 64, 0.05, 0.1), (128, None, 1.0, 0.1)]
    random, rows = np.random.default_rng(0), []
    for n, k, ridge, noise in cases:
        errors = []
        for _ in range(200):
            target = np.sqrt(squares) * random.choice([-1.0, 1.0], m)
            seen = random.standard_normal((n, m))
            y = seen @ target + np.sqrt(noise) * random.standard_normal(n)
            projected = np.sqrt(eigenvalues)
            features = np.diag(projected) if k is None else (random.standard_normal((k, m)) * projected).T / np.sqrt(k)
            psi = seen @ features
            dual = np.linalg.solve(psi @ psi.T + ridge * np.eye(n), y)
            learnt = features @ (psi.T @ dual)
            fit = psi @ (psi.T @ dual)
            errors.append((np.sum((learnt - target) ** 2) + noise, np.mean((fit - y) ** 2)))
        mean, sem = np.mean(errors, 0), np.std(errors, 0, ddof=1) / np.sqrt(len(errors))
        rows.append([n, k or 0, ridge, noise, *mean, *sem])
    return {
        "made": "Monte Carlo, 200 draws of x ~ N(0, I) and of ψ = G√λx/√k, G normal; k = 0 stands for the kernel",
        "modes": m,
        "a": 1.5,
        "b": 1.25,
        "cases": rows,
    }


def shortcuts():
    """How much linear and nonlinear kernel regression rely on a shortcut, and how much is best: sums over the grid."""
    random = np.random.default_rng(0)
    d, n, means = 6, 40, np.array([0.5, 1.2])
    axes = np.linspace(-3, 3, 22)
    grid = np.array([(s, c) for c in axes for s in axes if s * c < 0])
    w = np.linalg.qr(random.standard_normal((d, 2)))[0].T
    y = np.resize([1.0, -1.0], n)
    z = random.standard_normal((n, 2)) + np.outer(y, means)
    unit = np.sqrt(d / np.sum(np.square([4.0, 0.25]) * (1 + means**2)))
    x, probes = (unit * (part * [4.0, 0.25]) @ w for part in (z, grid))
    weights = random.standard_normal((7, d))
    features, asked = (erf(part @ weights.T / np.sqrt(d)) for part in (x, probes))
    found = asked @ np.linalg.lstsq(features, y, rcond=None)[0]
    reliance = np.mean((1 + np.sign(found) * np.sign(grid[:, 0])) / 2)
    best = np.mean((1 + np.sign(grid @ means) * np.sign(grid[:, 0])) / 2)
    return {
        "made": "least squares on 7 random erf features; reliance counted over the probes of a 22 × 22 grid",
        "means": means.tolist(),
        "first": (w @ weights.T).tolist(),  # of both directions
        "last": np.linalg.lstsq(features, y, rcond=None)[0].tolist(),
        "reliance": float(reliance),
        "bias": float(reliance - best),
    }


def spiky_smooth():
    """E φφ and E φ′φ′ of max(0, z) + A(sin ωz + cos ωz) by quadrature in two dimensions, and the spike's height."""
    cases = [(1.0, 1.0, 0.6, 0.3, 3.0), (1.0, 1.7, -0.4, 0.2, 5.0), (0.5, 2.0, 0.9, 0.1, 8.0)]
    side = np.linspace(-9, 9, 4801)
    # The midpoint rule on half lines of u, so that its kink and its step are at a border; Gaussian in v.
    u = (side[1:] + side[:-1])[:, None] / 2
    v = side[None, :]
    weight = np.exp(-(u**2 + v**2) / 2) / (2 * np.pi) * (side[1] - side[0]) ** 2
    rows = []
    for p, q, c, size, a in cases:
        x = np.sqrt(p) * u
        # The other's own kink is where y changes sign: it costs the rule 1e-6.
        y = c / np.sqrt(p) * u + np.sqrt(q - c**2 / p) * v
        phi = [np.maximum(z, 0) + size * (np.sin(a * z) + np.cos(a * z)) for z in (x, y)]
        slopes = [(z > 0) + size * a * (np.cos(a * z) - np.sin(a * z)) for z in (x, y)]
        rows.append([p, q, c, size, a, *(float((weight * one * other).sum()) for one, other in (phi, slopes))])
    return {"made": "midpoint rule on 4800 × 4801 points of two independent normal variables", "cases": rows}


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


if __name__ == "__main__":
    ways = (linear_models, ntk, label_gradient_alignment, grokking, natural_gradient)
    for made in (
        *ways,
        learning_rate_transfer,
        batch_size,
        pathological_sharpness,
        more_is_better,
        shortcuts,
        spiky_smooth,
        score_estimation,
        deep_equilibrium,
        infinite_feature_learning,
        radial_basis,
    ):
        (HERE / f"{made.__name__}.json").write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
