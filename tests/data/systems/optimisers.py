"""Reference values: curvature, features, optimisers."""

import itertools

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import erf

from tests.data.systems.toy import FACTOR, network, slope, start


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


def m_fac():
    """The recursion over gradients, updates that go by it, and weights pruned by multipliers, with N × N matrices."""
    random = np.random.default_rng(3)
    m, n, damping, lr, momentum, window, share = 5, 12, 0.03, 0.2, 0.6, 3, 0.05
    g, x, w = random.standard_normal((m, n)), random.standard_normal(n), random.standard_normal(n)

    def inverse(gradients, shift):
        found = np.eye(n) / shift
        for one in gradients:
            v = found @ one
            found = found - np.outer(v, v) / (len(gradients) + one @ v)
        return found

    whole = inverse(g, damping)
    gone = np.array([1, 4, 9])
    pruned = w - whole[:, gone] @ np.linalg.solve(whole[np.ix_(gone, gone)], w[gone])
    ring, v, y, path = np.zeros((window, n)), np.zeros(n), w, []
    for k, one in enumerate(g):
        ring[k % window] = one
        shift = share * (ring**2).sum() / window
        v = momentum * v + (1 - momentum) * inverse(ring, shift) @ one
        y = y - lr * v
        path.append(y.tolist())
    return {
        "made": "Sherman–Morrison over gradients, N × N; OBS as least ½δᵀFδ with multipliers; a ring of gradients",
        "damping": damping,
        "lr": lr,
        "momentum": momentum,
        "window": window,
        "share": share,
        "gradients": g.tolist(),
        "x": x.tolist(),
        "weights": w.tolist(),
        "product": (whole @ x).tolist(),
        "diagonal": np.diag(whole).tolist(),
        "gone": gone.tolist(),
        "pruned": pruned.tolist(),
        "path": path,
    }


def derivative(gradient, w, step=1e-4):
    """The symmetric matrix of derivatives of a gradient at w, by differences of fourth order."""
    rows = [
        (8 * (gradient(w + s) - gradient(w - s)) - (gradient(w + 2 * s) - gradient(w - 2 * s))) / (12 * step)
        for s in step * np.eye(len(w))
    ]
    return (np.array(rows) + np.array(rows).T) / 2


def gradient_normalised_smoothness():
    """Algorithm 1 of arXiv:2506.13710 on a small network with ½(y − F)², F = α(f − f₀), with N × N matrices."""
    x, _, y, w0, h = start()
    alpha, steps, first = 2.0, 4, 3.0
    f0, _ = network(w0, x, h)
    begin = w0 + 0.3 * np.cos(np.arange(len(w0)))

    def at(w):
        f, jacobian = network(w, x, h)
        force = alpha * (f - f0) - y
        return (force**2).mean() / 2 / alpha**2, jacobian.T @ force / (alpha * len(x)), jacobian, force

    ways = {
        "ggn": lambda w: at(w)[2].T @ at(w)[2] / len(x),
        "fisher": lambda w: (at(w)[2].T * at(w)[3] ** 2) @ at(w)[2] / len(x),
        "none": lambda w: np.zeros((len(w), len(w))),
        "hessian": lambda w: derivative(lambda v: at(v)[1], w),
    }
    found = {}
    for name, matrix in ways.items():
        w, gamma, path = begin, first, []
        for _ in range(steps):
            (loss, gradient, _, _), own = at(w), matrix(w)
            trial = 0
            while True:
                trial += 1
                shift = np.linalg.norm(gradient) / gamma
                values, vectors = np.linalg.eigh(own + shift * np.eye(len(w)))
                moved = w - vectors @ (vectors.T @ gradient / values)
                after = at(moved)
                if values.min() > 0 and loss - after[0] >= after[1] @ after[1] / (8 * shift):
                    break
                gamma /= 2
            path.append([*moved.tolist(), gamma, shift, trial, np.linalg.norm(moved - w)])
            w, gamma = moved, 2 * gamma
        found[name] = path
    return {
        "made": "algorithm 1 with N × N matrices by eigh; Hessian by differences of fourth order of the gradient",
        "h": h,
        "alpha": alpha,
        "gamma": first,
        "x": x.tolist(),
        "y": y.tolist(),
        "w0": w0.tolist(),
        "weights": begin.tolist(),
        **found,
    }
