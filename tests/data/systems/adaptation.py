"""Reference values: weights of low rank, probabilities, and sums of what tasks have added."""

from itertools import pairwise

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

SIZES = (5, 4, 6, 3)
"""Inputs, two hidden layers, outputs."""


def outputs(weights, x):
    """f of a tanh network in the NTK parametrisation without factors of the activation."""
    for number, w in enumerate(weights):
        x = (np.tanh(x) if number else x) @ w.T / np.sqrt(w.shape[1])
    return x


def jacobian(function, parts):
    """By steps into the imaginary: exact to rounding, (outputs, numbers in parts)."""
    columns = []
    for part in parts:
        for place in np.ndindex(part.shape):
            moved = [p.astype(complex) for p in parts]
            next(m for m, p in zip(moved, parts, strict=True) if p is part)[place] += 1e-30j
            columns.append(function(moved).imag.ravel() / 1e-30)
    return np.stack(columns, axis=1)


def lp_ft():
    """Θ of a network by its hidden weights and by A and B beside them, and a calibration error with its temperature."""
    random = np.random.default_rng(0)
    weights = [random.standard_normal((m, n)) for n, m in pairwise(SIZES)]
    x, rank = random.standard_normal((3, SIZES[0])), 2
    low = []
    for w in weights[:-1]:
        a = random.standard_normal((rank, w.shape[1])) / np.sqrt(rank)
        low += [a, random.standard_normal((w.shape[0], rank))]

    def by_low(parts):
        hidden = [w + b @ a for w, a, b in zip(weights, parts[:-1:2], parts[1:-1:2], strict=False)]
        return outputs([*hidden, parts[-1]], x)

    first = jacobian(by_low, [*low, weights[-1]])
    plain = jacobian(lambda parts: outputs(parts, x), weights)
    logits, labels = 4 * random.standard_normal((40, 3)), random.integers(3, size=40)
    logits[np.arange(40), labels] += 2
    best = minimize_scalar(
        lambda b: np.mean(logsumexp(b * logits, axis=1) - b * logits[np.arange(40), labels]),
        bounds=(1e-3, 10),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return {
        "made": "Jacobians by complex steps of 1e-30; temperature by Brent's method; bins counted one by one",
        "x": x.tolist(),
        "weights": np.concatenate([w.ravel() for w in weights]).tolist(),
        "weights_low": np.concatenate(
            [w.ravel() for w in (weights[0], *low[:2], weights[1], *low[2:], weights[2])]
        ).tolist(),
        "theta": (plain @ plain.T).tolist(),
        "theta_low": (first @ first.T).tolist(),
        "logits": logits.ravel().tolist(),
        "labels": labels.tolist(),
        "ece": ece(softmax(logits, axis=1), labels),
        "temperature": 1 / best.x,
    }


def ece(p, labels, bins=10):
    """Expected calibration error."""
    total, confidence, right = 0.0, p.max(1), p.argmax(1) == labels
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def task_arithmetic():
    """Two tasks of a small network: what is left of the sum's superposition, and classes that differ, ξ(1, 1)."""
    random = np.random.default_rng(1)
    start = [random.standard_normal((m, n)) for n, m in pairwise(SIZES)]
    heads = [start[-1], random.standard_normal(start[-1].shape)]
    vectors = [[0.8 * random.standard_normal(w.shape) for w in start[:-1]] for _ in heads]
    x = [random.standard_normal((30, SIZES[0])) for _ in heads]

    def f(task, *added):
        hidden = [w + sum(one[place] for one in added) for place, w in enumerate(start[:-1])]
        return outputs([*hidden, heads[task]], x[task])

    def linear(task, *added):
        whole = [*start[:-1], heads[task]]
        own = jacobian(lambda parts: outputs([*parts, heads[task]], x[task]), start[:-1])
        move = np.concatenate([sum((one[p] for one in added), 0 * w).ravel() for p, w in enumerate(start[:-1])])
        return outputs(whole, x[task]) + (own @ move).reshape(-1, SIZES[-1])

    found = {}
    for name, model in (("nonlinear", f), ("post-hoc", linear)):
        bare = [model(t) for t in (0, 1)]
        both = [model(t, *vectors) for t in (0, 1)]
        parts = [sum(model(t, v) - bare[t] for v in vectors) for t in (0, 1)]
        wrong = sum(np.sum((both[t] - bare[t] - parts[t]) ** 2) for t in (0, 1))
        found[f"superposition {name}"] = np.sqrt(wrong / sum(np.sum((both[t] - bare[t]) ** 2) for t in (0, 1)))
        found[f"xi {name}"] = sum(float(np.mean(both[t].argmax(1) != model(t, vectors[t]).argmax(1))) for t in (0, 1))
    return {
        "made": "Jacobians by complex steps; tasks with heads of their own",
        "x": [one.tolist() for one in x],
        "start": [np.concatenate([w.ravel() for w in (*start[:-1], head)]).tolist() for head in heads],
        "vectors": [np.concatenate([*(w.ravel() for w in v), 0 * start[-1].ravel()]).tolist() for v in vectors],
        **found,
    }
