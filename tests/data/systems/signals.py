"""Reference values: networks of sines on signals, and features that stay."""

import numpy as np
from scipy.linalg import expm


def spectral_bottleneck():
    """f of a small network of sines and its gradients, by hand; a signal's centroid; what a kernel's flow leaves."""
    random = np.random.default_rng(11)
    h, omega, n = 3, 7.0, 6
    x = -1 + 2 * np.arange(n)[:, None] / n
    w0, w1, w2 = (random.uniform(-1, 1, shape) / scale for shape, scale in (((h, 1), 1), ((h, h), omega), ((1, h), 1)))
    b0, b1, b2 = (random.uniform(-1, 1, (k, 1)) for k in (h, h, 1))
    first = omega * (x @ w0.T + b0.T)
    second = omega * (np.sin(first) @ w1.T + b1.T)
    f = np.sin(second) @ w2.T + b2.T
    jacobian = []
    for p in range(n):
        up = omega * w2[0] * np.cos(second[p])
        down = omega * np.cos(first[p]) * (w1.T @ up)
        parts = [np.outer(down, x[p]), down, np.outer(up, np.sin(first[p])), up, np.sin(second[p]), np.ones(1)]
        jacobian.append(np.concatenate([part.ravel() for part in parts]))
    jacobian = np.array(jacobian)
    theta = jacobian @ jacobian.T
    y = random.standard_normal(n)
    # The flow dF/dt = −Θ(F − y)/P from F = 0, at t = 10P/λ̄.
    rest = expm(-10 * theta * n / np.trace(theta)) @ y
    # A sum over all samples for each frequency.
    size = [abs(sum(y[p] * np.exp(-2j * np.pi * k * p / n) for p in range(n))) for k in range(n // 2 + 1)]
    return {
        "made": "NumPy: derivatives by hand, a Fourier sum, SciPy's exponential of the matrix",
        "omega": omega,
        "x": x.tolist(),
        "weights": np.concatenate([part.ravel() for part in (w0, b0, w1, b1, w2, b2)]).tolist(),
        "f": f[:, 0].tolist(),
        "jacobian": jacobian.tolist(),
        "y": y.tolist(),
        "left": float(rest @ rest / (y @ y)),
        "centroid": float(2 * sum(k / n * one for k, one in enumerate(size)) / sum(size)),
    }


def scalable_kernels():
    """f of a network of fixed features and its gradients, by hand, and the mean kernels of features by quadrature."""
    random = np.random.default_rng(12)
    d, h, m, n = 3, 2, 4, 3
    x, g = random.standard_normal((n, d)), random.standard_normal((m, d))
    u = x @ g.T / np.sqrt(d)
    rho = np.exp(1j * np.pi / 4)
    size = (x**2).sum(1, keepdims=True) / d
    wave = np.exp(rho * u - rho**2 * size / 2 - 0.5)
    features = {"relu": np.sqrt(2) * np.maximum(u, 0), "urf_sin": np.concatenate([wave.real, wave.imag], 1)}
    networks = {}
    for name, made in features.items():
        w, v = random.standard_normal((h, made.shape[1])), random.standard_normal((1, h))
        bundled = random.standard_normal((1, made.shape[1]))
        z = made @ w.T / np.sqrt(m)
        by_w = v[0][None, :, None] * made[:, None, :] / np.sqrt(m * h)
        networks[name] = {
            "w": w.tolist(),
            "v": v.tolist(),
            "f": (z @ v[0] / np.sqrt(h)).tolist(),
            "jacobian": np.concatenate([by_w.reshape(n, -1), z / np.sqrt(h)], 1).tolist(),
            "bundled": bundled.tolist(),
            "bundled_f": (made @ bundled[0] / np.sqrt(m)).tolist(),
        }
    # Means over two correlated normal numbers: of relu piecewise, by angle and radius, and of waves on nodes.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    cos = x @ x.T / np.sqrt(np.outer((x**2).sum(1), (x**2).sum(1)))
    length = np.sqrt(size[:, 0])
    relu, sine = np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            theta = np.arccos(np.clip(cos[i, j], -1, 1))
            relu[i, j] = length[i] * length[j] * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi
            a = nodes[:, None] + 0 * nodes
            b = cos[i, j] * nodes[:, None] + np.sqrt(max(1 - cos[i, j] ** 2, 0)) * nodes
            one, two = (np.exp(rho * k * r - rho**2 * r**2 / 2 - 0.5) for k, r in ((a, length[i]), (b, length[j])))
            sine[i, j] = (weights[:, None] * weights * (one * two.conj()).real).sum()
    return {
        "made": "NumPy: complex exponentials, derivatives by hand; Cho and Saul's kernel; 60 × 60 Gauss-Hermite nodes",
        "x": x.tolist(),
        "g": g.tolist(),
        "networks": networks,
        "limits": {"relu": relu.tolist(), "urf_sin": sine.tolist()},
        # E e^{ρg·x − ρ²|x|²/2} e^{ρg·w − ρ²|w|²/2} = e^{ix·w}, whose imaginary part is sin(x·w): by the same nodes.
        "sines": [[0.7, 1.3, float(_sine(0.7, 1.3, nodes, weights, rho))]],
    }


def _sine(x, w, nodes, weights, rho):
    one, two = (np.exp(rho * nodes * k - rho**2 * k**2 / 2) for k in (x, w))
    return (weights * one * two).sum().imag
