"""A small network with its Jacobian and data, written out for the reference values of several systems."""

import numpy as np
from scipy.special import erf

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
