"""Reference values: networks of sines on signals."""

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
