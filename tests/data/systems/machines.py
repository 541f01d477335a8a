"""Reference values: kernels that learn."""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal


def arccosine(gram):
    """E φ(u)φ(v) of φ(z) = √2·max(0, z), Cho and Saul's, entry by entry."""
    norms = np.sqrt(np.diag(gram))
    cosine = gram / np.outer(norms, norms)
    np.fill_diagonal(cosine, 1.0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    return np.outer(norms, norms) * (np.sin(angle) + (np.pi - angle) * cosine) / np.pi


def conditioned(inputs, learnt):
    """The covariance of all patterns, of which the first have learnt: the others as Gaussian variables given them."""
    whole, n = inputs, len(learnt[0])
    for gram in learnt:
        prior = arccosine(whole)
        inner, cross = np.linalg.inv(prior[:n, :n]), prior[n:, :n]
        onto = cross @ inner @ gram
        rest = prior[n:, n:] - cross @ inner @ cross.T + onto @ np.linalg.inv(gram) @ onto.T
        whole = np.block([[gram, onto.T], [onto, rest]])
    return arccosine(whole)


def deep_kernel_machines():
    """Two layers of 5 patterns with two columns of labels, by BFGS over Cholesky factors from several starts."""
    random = np.random.default_rng(0)
    n, others, d, nu, noise, layers = 5, 3, 4, 3.0, 0.1, 2
    x = random.standard_normal((n + others, d))
    inputs = x @ x.T / d
    y = random.standard_normal((n, 2))
    rows, columns = np.tril_indices(n)

    def grams(free):
        for part in free.reshape(layers, -1):
            lower = np.zeros((n, n))
            lower[rows, columns] = part
            yield lower @ lower.T

    def objective(free):
        total, below = 0.0, inputs[:n, :n]
        for gram in grams(free):
            prior = arccosine(below)
            ratio = np.linalg.solve(prior, gram)
            total -= nu * (np.trace(ratio) - np.linalg.slogdet(ratio)[1] - n) / 2
            below = gram
        covariance = arccosine(below) + noise * np.eye(n)
        return total + multivariate_normal(np.zeros(n), covariance).logpdf(y.T).sum()

    found = []
    for scale in (1.0, 0.8, 1.3):
        start, below = [], inputs[:n, :n]
        for _ in range(layers):
            below = arccosine(below)
            start.append(scale * np.linalg.cholesky(below)[rows, columns])
        way = {"method": "BFGS", "jac": "3-point", "options": {"gtol": 1e-7, "maxiter": 2000}}
        found.append(minimize(lambda free: -objective(free), np.concatenate(start), **way))
    best = min(found, key=lambda one: one.fun)
    learnt = list(grams(best.x))
    kernel = conditioned(inputs, learnt)
    mean = kernel[n:, :n] @ np.linalg.solve(kernel[:n, :n] + noise * np.eye(n), y)
    return {
        "made": "scipy's BFGS with differences of three points over Cholesky factors of G₁ and G₂, from three starts",
        "agree": float(np.ptp([one.fun for one in found])),
        "nu": nu,
        "noise": noise,
        "inputs": inputs.tolist(),
        "y": y.tolist(),
        "objective": -float(best.fun),
        "grams": [gram.tolist() for gram in learnt],
        "covariance": kernel.tolist(),
        "mean": mean.tolist(),
    }


def kernel_continual():
    """Two tasks of two classes in five dimensions, by the tangent kernel of one hidden layer of ReLU, written out."""
    random = np.random.default_rng(1)
    d, ridge = 5, 0.05

    def kernel(x, others):
        sizes = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(others, axis=1))
        u = np.clip(x @ others.T / sizes, -1, 1)
        return sizes * (2 * u * (np.pi - np.arccos(u)) + np.sqrt(1 - u**2)) / (np.pi * d)

    means = random.standard_normal((4, d))
    kept, tests = ([mean + random.standard_normal((n, d)) for mean in means] for n in (6, 20))
    right = []
    for t in (0, 2):
        x, asked = np.concatenate(kept[t : t + 2]), np.concatenate(tests[t : t + 2])
        y, wanted = np.repeat([1.0, -1.0], 6), np.repeat([1.0, -1.0], 20)
        k = kernel(x, x)
        f = kernel(asked, x) @ np.linalg.solve(k + ridge * np.trace(k) / len(k) * np.eye(len(k)), y)
        right.append(np.mean(f * wanted > 0))
    return {
        "made": "ridge regression on Θ = ‖x‖‖x′‖[2u(π − arccos u) + √(1 − u²)]/πd, labels +1 and −1 of each pair",
        "ridge": ridge,
        "kept": [one.tolist() for one in kept],
        "tests": [one.tolist() for one in tests],
        "tasks": right,
        "accuracy": float(np.mean(right)),
    }
