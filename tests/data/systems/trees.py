"""Reference values: trees of patches on circles.

With NumPy alone, as ``make``.
"""

import numpy as np


def relu_pair(q, r, c):
    """E φφ and E φ′φ′ of √2·relu for two Gaussians of variances q and r and covariance c (Cho and Saul 2009)."""
    rho = c / np.sqrt(q * r)
    angle = np.arccos(np.clip(rho, -1, 1))
    value = np.sqrt(q * r) * (np.sqrt(max(1 - rho**2, 0)) + rho * (np.pi - angle)) / np.pi
    return value, (np.pi - angle) / np.pi


def tree_kernels(x, other, joins):
    """Σ and Θ of two patterns of patches (p, s), level by level; √2·relu halves no variance: E φ² = q."""
    s = x.shape[1]
    levels = [(a @ a / s, b @ b / s, a @ b / s, a @ b / s) for a, b in zip(x, other, strict=True)]
    for join in [*joins, 1]:
        after = []
        for q, r, c, theta in levels:
            value, slope = relu_pair(q, r, c)
            after.append((q, r, value, value + slope * theta))
        levels = [tuple(np.mean(after[i : i + join], axis=0)) for i in range(0, len(after), join)]
    return levels[0][2:]


def wide_cnn():
    """Kernels and outputs of a tree of four patches, and eigenvalues of one of two patches on circles."""
    random = np.random.default_rng(0)
    joins, h, s = [2, 2], 3, 3
    x = random.standard_normal((3, 4, s))
    x[2, 1] = x[0, 1]  # a patch in common, beside one that is not
    kernels = np.array([[tree_kernels(a, b, joins) for b in x] for a in x])
    weights = [random.standard_normal(shape) for shape in ((h, s), (h, 2 * h), (h, 2 * h), (1, h))]
    outputs = []
    for pattern in x:
        places = [np.sqrt(2) * np.maximum(weights[0] @ patch / np.sqrt(s), 0) for patch in pattern]
        for w in weights[1:3]:
            seen = [np.concatenate(places[i : i + 2]) for i in range(0, len(places), 2)]
            places = [np.sqrt(2) * np.maximum(w @ u / np.sqrt(2 * h), 0) for u in seen]
        outputs.append(float(weights[3][0] @ places[0] / np.sqrt(h)))
    side = 2 * np.pi * np.arange(32) / 32
    first = np.sqrt(2) * np.array([[1.0, 0.0], [1.0, 0.0]])
    turned = [[np.sqrt(2) * np.array([[np.cos(t), np.sin(t)] for t in (a, b)]) for b in side] for a in side]
    kernel = np.array([[tree_kernels(first, one, [2])[1] for one in row] for row in turned])
    waves = [[0, 0], [1, 0], [0, 2], [3, 1], [2, 5]]
    eigenvalues = [float((kernel * np.outer(np.cos(k * side), np.cos(m * side))).mean()) for k, m in waves]
    return {
        "made": "the recursion pair by pair, outputs by loops; eigenvalues by means over a grid of 32 x 32 angles",
        "x": x.reshape(3, -1).tolist(),
        "nngp": kernels[..., 0].tolist(),
        "ntk": kernels[..., 1].tolist(),
        **{f"W{i}": w.tolist() for i, w in enumerate(weights)},
        "f": outputs,
        "waves": waves,
        "eigenvalues": eigenvalues,
    }
