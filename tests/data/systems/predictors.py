"""Reference values: what kernels predict, and data."""

from math import factorial

import numpy as np
from numpy.polynomial.hermite_e import HermiteE, hermegauss
from scipy.integrate import cumulative_trapezoid, solve_ivp, trapezoid
from scipy.optimize import brentq
from scipy.special import erf, expit
from scipy.stats import dirichlet, multivariate_t, norm

from tests.data.systems.toy import network, start


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


def scale_mixtures():
    """Posterior of a Student-t process as ratios of joint densities, integrated over y by quadrature."""
    random = np.random.default_rng(0)
    a, b, n = 1.7, 0.6, 5
    features = random.standard_normal((n + 2, 30))
    kernel = features @ features.T / 30
    y = random.standard_normal(n)
    x_train, x_test = features[:n], features[n:]
    grid = np.linspace(-60, 60, 240_001)
    rows = []
    for test in range(2):
        chosen = [*range(n), n + test]
        joint = multivariate_t(shape=b / a * kernel[np.ix_(chosen, chosen)], df=2 * a)
        before = multivariate_t(shape=b / a * kernel[:n, :n], df=2 * a).logpdf(y)
        density = np.exp(joint.logpdf(np.column_stack([np.tile(y, (len(grid), 1)), grid])) - before)
        mean = trapezoid(grid * density, grid)
        inside = np.interp([0.025, 0.975], cumulative_trapezoid(density, grid, initial=0), grid)
        mass, variance = trapezoid(density, grid), trapezoid((grid - mean) ** 2 * density, grid)
        rows.append((mass, mean, variance, inside.tolist(), float(before - joint.logpdf([*y, 1.0]))))
    return {
        "made": "scipy.stats.multivariate_t: joint over marginal density on a grid of 240001 points, trapezoids",
        "a": a,
        "b": b,
        "x_train": x_train.tolist(),
        "x_test": x_test.tolist(),
        "y": y.tolist(),
        **dict(
            zip(("mass", "mean", "variance", "interval", "at_one"), map(list, zip(*rows, strict=True)), strict=True)
        ),
    }


def distillation():
    """Effective logits by Brent's method, the slope of the loss by a difference."""
    cases = [
        (z, hard, rho, t)
        for z, hard in ((1.0, 1), (1.0, -1), (-2.0, 1), (-30.0, 1), (4.0, -1), (0.0, 1))
        for rho, t in ((0.5, 1.0), (0.9, 4.0), (0.1, 2.0), (0.6, 0.5))
    ]

    def loss(f, z, hard, rho, t):
        def entropy(q, logit):
            return -q * np.log(expit(logit)) - (1 - q) * np.log(expit(-logit))

        return rho * entropy(expit(z / t), f / t) + (1 - rho) * entropy(float(hard > 0), f)

    def slope(f, z, hard, rho, t):
        return rho / t * (expit(f / t) - expit(z / t)) + (1 - rho) * (expit(f) - (hard > 0))

    logits = [brentq(slope, -200, 200, args=case, xtol=1e-13, rtol=1e-14) for case in cases]
    step = 1e-5
    slopes = [(loss(0.7 + step, *case) - loss(0.7 - step, *case)) / (2 * step) for case in cases]
    return {
        "made": "scipy.optimize.brentq of the stationary point; central difference of both entropies at F = 0.7",
        "cases": [list(map(float, case)) for case in cases],
        "logits": logits,
        "slopes": slopes,
    }


def permutations():
    """Mean and covariance of the process that learns 4 bits from unit vectors; the largest σ²/μ² of 6 and 24 bits."""

    def spread(x, k):
        """Covariance of inputs that 0s and 1s are given for, by arc-cosine kernels of √2·max(0, w·x/√k)."""
        patterns = np.concatenate([np.eye(k), x])
        kernels = [np.empty((len(patterns), len(patterns))) for _ in range(2)]
        for i, one in enumerate(patterns):
            for j, other in enumerate(patterns):
                lengths = np.sqrt(one.sum() * other.sum())
                cosine = min(1.0, one @ other / lengths)
                angle = np.arccos(cosine)
                kernels[0][i, j] = lengths * (np.sin(angle) + (np.pi - angle) * cosine) / np.pi / k
                kernels[1][i, j] = kernels[0][i, j] + (np.pi - angle) * one @ other / np.pi / k
        nngp, ntk = kernels
        b = ntk[k:, :k] @ np.linalg.inv(ntk[:k, :k])
        cross = b @ nngp[:k, k:]
        return nngp[k:, k:] + b @ nngp[:k, :k] @ b.T - cross - cross.T

    def means(ones, k):
        """At bits that are 1 and that are 0, of inputs with so many ones: Sherman and Morrison's formula by hand."""
        c, angle = 1 / (2 * np.pi), np.arccos(1 / np.sqrt(ones))
        on = np.sqrt(ones - 1) / (2 * np.pi) + (np.pi - angle) / np.pi
        off = np.sqrt(ones) / (2 * np.pi)
        shared = c * (ones * on + (k - ones) * off) / (1 - c + k * c)
        return (on - shared) / (1 - c), (off - shared) / (1 - c)

    every = np.array([[number >> place & 1 for place in range(4)] for number in range(1, 16)], float)
    both = np.array([means(x.sum(), 4) for x in every])
    hardest = []
    for k in (6, 24):
        x = np.array([[float(i < ones) for i in range(k)] for ones in range(2, k + 1)])
        smallest = [
            min(means(ones, k)[0] ** 2, means(ones, k)[1] ** 2 if ones < k else 9.0) for ones in range(2, k + 1)
        ]
        hardest.append(float(np.max(np.diag(spread(x, k)) / smallest)))
    return {
        "made": "arc-cosine kernels entry by entry; means by the inverse of a multiple of 1 and a matrix of ones",
        "inputs": every.tolist(),
        "mean": np.where(every > 0, both[:, :1], both[:, 1:]).tolist(),
        "covariance": spread(every, 4).tolist(),
        "bits": [6, 24],
        "hardest": hardest,
    }


def deep_classifiers():
    """Deep kernels on the sphere by the recursion in x·x′, Hilbert's estimate, duals by quadrature, Bayes classes."""
    random, nodes = np.random.default_rng(0), hermegauss(40)
    z, weight = nodes[0], nodes[1] / np.sqrt(2 * np.pi)
    duals = []
    for c, p, q, rho in (([0, 0.5, 0, 0.5], 1, 1, 0.3), ([0.2, 0.3, 0.4, 0.1], 0.5, 2, -0.6), ([0, 0, 1], 1.7, 1, 0.9)):
        phi = HermiteE([np.sqrt(value / factorial(n)) for n, value in enumerate(c)])
        u = np.sqrt(p) * z[:, None] + 0 * z
        v = np.sqrt(q) * (rho * z[:, None] + np.sqrt(1 - rho**2) * z)
        means = [float(weight @ (one(u) * one(v)) @ weight) for one in (phi, phi.deriv())]
        duals.append([p, q, rho, *means, *c, *[0] * (4 - len(c))])
    # Patterns of two laws; the second is more likely.
    first, second, prior, d = [0.5, 0.5, 2.5], [2.5, 0.1, 0.5], 0.4, 3
    s = np.concatenate([random.dirichlet(first, 12), random.dirichlet(second, 18)])
    y = np.repeat([-1.0, 1.0], [12, 18])
    tests = random.dirichlet([1, 1, 1], 20)
    odds = [np.log(1 - prior) - np.log(prior) + dirichlet.logpdf(t, second) - dirichlet.logpdf(t, first) for t in tests]
    x, onto = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (s, tests))

    def network(layers, dual, slope):
        both = np.concatenate([x, onto])
        xi = both @ x.T
        np.fill_diagonal(xi, 1.0)
        ntk = xi
        for _ in range(layers):
            xi, ntk = dual(xi), dual(xi) + ntk * slope(xi)
        return [k[30:] @ np.linalg.solve(k[:30], y) for k in (xi, ntk)]

    def angle(xi):
        return np.arccos(np.clip(xi, -1, 1))

    cubic = network(60, lambda xi: (xi**3 + xi) / 2, lambda xi: (3 * xi**2 + 1) / 2)
    relu = network(
        20,
        lambda xi: (np.sin(angle(xi)) + (np.pi - angle(xi)) * xi) / np.pi,
        lambda xi: (np.pi - angle(xi)) / np.pi,
    )
    near = 1 / np.linalg.norm(onto[:, None] - x[None], axis=2) ** 2
    return {
        "made": "recursion of 60 and of 20 layers, solve; sums; Gauss–Hermite quadrature of 40 nodes; scipy.stats",
        "duals": duals,
        "x_train": (np.sqrt(d) * x).tolist(),
        "x_test": (np.sqrt(d) * onto).tolist(),
        "y": y.tolist(),
        "cubic": cubic[0].tolist(),
        "relu": relu[1].tolist(),
        "hilbert": (near @ y / near.sum(1)).tolist(),
        "bayes": [int(odd > 0) for odd in odds],
    }


def private_similarities():
    """Noise of the Gaussian mechanism by bisection of the trade-off's supremum, and sums over all pairs."""
    random = np.random.default_rng(0)
    rows = []
    for epsilon, delta, sensitivity in ((1.0, 1e-5, 1.0), (0.1, 1e-5, 1.0), (3.0, 1e-6, 2**0.5)):
        low, high = 0.0, 200.0
        for _ in range(100):
            s = (low + high) / 2
            # Where one density is e^ε times the other, P(M(X) > t) − e^ε P(M(X′) > t) is largest.
            t = sensitivity / 2 + epsilon * s**2 / sensitivity
            most = norm.sf(t, sensitivity, s) - np.exp(epsilon) * norm.sf(t, 0, s)
            low, high = (low, s) if most < delta else (s, high)
        rows.append([epsilon, delta, sensitivity, s])
    z, y = random.standard_normal((9, 4)), random.standard_normal((5, 4))
    z, y = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (z, y))
    squares = np.array([[np.sum((a - b) ** 2) for a in z] for b in y])
    return {
        "made": "bisection of sup_t P(M(X) > t) − e^ε P(M(X′) > t) = δ over s; all pairs",
        "noise": rows,
        "z": z.tolist(),
        "y": y.tolist(),
        "distances": squares.mean(1).tolist(),
        "density": np.exp(-squares).mean(1).tolist(),
    }
