"""Reference values: networks of splines of truncated powers.

With NumPy alone, as ``make``.
"""

import numpy as np

RANGE, DEGREE = 2.0, 3


def spline_layer(x, weights, knots):
    """Σ_ib C_oib ψ_b(x_i)/√fan-in by loops, knots[o][i] of each pair."""
    outputs = []
    count = len(knots[0][0])
    equal = np.linspace(-1, 1, count + 2)[1:-1]
    size = DEGREE + 1 + count
    for o, row in enumerate(weights):
        total = 0.0
        for i, value in enumerate(x):
            own = row[i * size : (i + 1) * size]
            for j in range(DEGREE + 1):
                total += own[j] * value**j * np.sqrt(2 * j + 1)
            for m in range(count):
                rms = np.sqrt((1 - equal[m]) ** (2 * DEGREE + 1) / (2 * (2 * DEGREE + 1)))
                total += own[DEGREE + 1 + m] * max(value - knots[o][i][m], 0.0) ** DEGREE / rms
        outputs.append(total / np.sqrt(len(x) * size))
    return np.array(outputs)


def knots_of(steps):
    """Softplus of distances, summed up and over the sum, on [−1, 1]."""
    ends = np.cumsum(np.log1p(np.exp(steps)))
    return 2 * ends[:-1] / ends[-1] - 1


def pairs(steps, outputs):
    """Knots of each pair of output and input; shared ones are those of the input."""
    if steps.ndim == 2:
        steps = np.broadcast_to(steps, (outputs, *steps.shape))
    return [[knots_of(one) for one in row] for row in steps]


def spline_network(w0, t0, w1, t1, x):
    found = []
    for pattern in x:
        inside = np.clip(pattern / RANGE, -1, 1)
        hidden = np.tanh(spline_layer(inside, w0, pairs(t0, len(w0))))
        found.append(spline_layer(hidden, w1, pairs(t1, len(w1)))[0])
    return np.array(found)


def gradients(f, parts, step=1e-3):
    """By differences of order four of every number in every part."""
    rows = []
    for index, part in enumerate(parts):
        for place in np.ndindex(part.shape):

            def at(by, index=index, place=place):
                moved = [one.copy() for one in parts]
                moved[index][place] += by * step
                return f(*moved)

            rows.append((8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step))
    return np.array(rows).T


def trukan():
    """f of two layers with equal knots, with shared and with individual ones, and Θ of the latter two."""
    random = np.random.default_rng(0)
    count, h, d = 4, 3, 2
    size = DEGREE + 1 + count
    x = random.standard_normal((4, d))
    w0, w1 = (random.standard_normal(shape) for shape in ((h, d * size), (1, h * size)))
    equal = [np.zeros((d, count + 1)), np.zeros((h, count + 1))]
    shared = [0.5 * random.standard_normal(one.shape) for one in equal]
    own = [0.5 * random.standard_normal((n, *one.shape)) for n, one in zip((h, 1), equal, strict=True)]
    found = {"f_fixed": spline_network(w0, equal[0], w1, equal[1], x).tolist()}
    for name, (t0, t1) in (("shared", shared), ("individual", own)):
        jacobian = gradients(lambda *parts: spline_network(*parts, x), [w0, t0, w1, t1])
        found |= {
            f"T0_{name}": t0.tolist(),
            f"T1_{name}": t1.tolist(),
            f"f_{name}": spline_network(w0, t0, w1, t1, x).tolist(),
            f"theta_{name}": (jacobian @ jacobian.T).tolist(),
        }
    return {
        "made": "sums over pairs and functions by loops; gradients by differences of order four",
        "x": x.tolist(),
        "W0": w0.tolist(),
        "W1": w1.tolist(),
        **found,
    }
