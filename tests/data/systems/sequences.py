"""Reference values: networks that share weights.

With NumPy and SciPy alone, as ``make``.
"""

import numpy as np
from scipy.special import erf

from tests.data.systems.toy import FACTOR


def williams(k):
    """E φφ and E φ′φ′ of a·erf for Gaussians of covariance k, (n, n)."""
    q = 1 + 2 * np.diag(k)
    return FACTOR**2 * 2 / np.pi * np.arcsin(2 * k / np.sqrt(np.outer(q, q))), FACTOR**2 * 4 / np.pi / np.sqrt(
        np.outer(q, q) - 4 * k**2
    )


def recurrent_limit(x, sigmas):
    """Σ∞ and Θ∞ of both readouts: all times of all patterns as one matrix, and what moves states carried forwards."""
    w, u, v, b = sigmas
    patterns, times, d = x.shape
    flat = x.reshape(-1, d)
    back = np.zeros((times, times))
    back[np.arange(1, times), np.arange(times - 1)] = 1
    back = np.kron(np.eye(patterns), back)  # from a time to the one before
    injected = u**2 * flat @ flat.T / d + b**2
    values, slopes, theta = (np.zeros_like(injected) for _ in range(3))
    for _ in range(times):
        k = injected + w**2 * back @ values @ back.T
        theta = k + w**2 * back @ (slopes * theta) @ back.T
        values, slopes = williams(k)
    last = np.kron(np.eye(patterns), np.eye(times)[-1:])
    mean = np.kron(np.eye(patterns), np.full((1, times), 1 / times))
    return {
        name: {
            "nngp": (v**2 * read @ values @ read.T).tolist(),
            "ntk": (v**2 * read @ (values + slopes * theta) @ read.T).tolist(),
        }
        for name, read in (("last", last), ("mean", mean))
    }


def soft(gram, landmarks, ridge):
    """Softmax-free attention of one pattern from products of its keys, token by token, with an inverse as it is."""
    tokens = len(gram)
    mean = np.kron(np.eye(landmarks), np.full((1, tokens // landmarks), landmarks / tokens))
    both = np.concatenate([np.eye(tokens), mean])
    both = both @ gram @ both.T
    s = np.array(
        [[np.exp(-(both[i, i] + both[j, j] - 2 * both[i, j]) / 2) for j in range(len(both))] for i in range(len(both))]
    )
    cross, middle = s[:tokens, tokens:], s[tokens:, tokens:]
    return cross @ np.linalg.inv(middle + ridge * np.eye(landmarks)) @ cross.T


def softmax(gram):
    """Softmax of products of keys."""
    scores = np.exp(gram)
    return scores / scores.sum(1, keepdims=True)


def attention_limit(x, epsilon, scores=softmax):
    """Σ∞ and Θ∞ of two layers of attention with layer norm, all tokens of all patterns as one matrix."""
    patterns, tokens, d = x.shape
    flat = x.reshape(-1, d)
    k, theta = flat @ flat.T / d, 0.0

    def normed(k, theta):
        over = np.sqrt(np.outer(np.diag(k) + epsilon, np.diag(k) + epsilon))
        return k / over, theta / over

    for _ in range(2):
        theta = k + theta
        a = np.eye(len(k))
        for p in range(patterns):
            own = slice(p * tokens, (p + 1) * tokens)
            a[own, own] += scores(k[own, own])
        k, theta = normed(a @ k @ a.T, a @ theta @ a.T)
        values, slopes = williams(k)
        k, theta = normed(k + values, theta + values + slopes * (k + theta))
    mean = np.kron(np.eye(patterns), np.full((1, tokens), 1 / tokens))
    return {"nngp": (mean @ k @ mean.T).tolist(), "ntk": (mean @ (k + theta) @ mean.T).tolist()}


def weight_sharing():
    """Limits of recurrent networks and of attention with a·erf, and f of one recurrent network by loops."""
    random = np.random.default_rng(0)
    x, n, sigmas, epsilon = random.standard_normal((3, 4, 2)), 5, (1.2, 0.9, 0.8, 0.3), 1e-6
    w, u, v, b = (random.standard_normal(shape) for shape in ((n, n), (n, 2), (1, n), (n, 1)))
    outputs = []
    for pattern in x:
        s = np.zeros(n)
        for token in pattern:
            z = sigmas[0] * w @ s / np.sqrt(n) + sigmas[1] * u @ token / np.sqrt(2) + sigmas[3] * b[:, 0]
            s = FACTOR * erf(z)
        outputs.append(float(sigmas[2] * v[0] @ s / np.sqrt(n)))
    return {
        "made": "recursions over all times, or tokens, of all patterns as one matrix, Williams' kernel; f by loops",
        "x": x.reshape(3, -1).tolist(),
        "sigmas": list(sigmas),
        "epsilon": epsilon,
        "recurrent": recurrent_limit(x, sigmas),
        "attention": attention_limit(x, epsilon),
        "W0": u.tolist(),
        "B0": b.tolist(),
        "W1": w.tolist(),
        "W2": v.tolist(),
        "f": outputs,
    }


def softmax_free_attention():
    """f of one layer with a·erf and of keys as they are, token by token; and the limits of two layers."""
    random = np.random.default_rng(3)
    n, tokens, d, landmarks, ridge, epsilon = 5, 6, 2, 3, 0.01, 1e-6
    x = random.standard_normal((3, tokens, d))
    u, w1, w2, v = (random.standard_normal(shape) for shape in ((n, d), (n, n), (n, n), (1, n)))

    def normed(z):
        return (z - z.mean()) / np.sqrt(((z - z.mean()) ** 2).mean() + epsilon)

    outputs = []
    for pattern in x:
        keys = np.array([u @ token / np.sqrt(d) for token in pattern])
        a = soft(keys @ keys.T / n, landmarks, ridge)
        read = np.zeros(n)
        for t in range(tokens):
            z = normed(keys[t] + sum(a[t, r] * keys[r] for r in range(tokens)))
            read += normed(z + w2 @ (FACTOR * erf(w1 @ z / np.sqrt(n))) / np.sqrt(n)) / tokens
        outputs.append(float(v[0] @ read / np.sqrt(n)))
    return {
        "made": "distances pair by pair, an inverse by LU; in the limit all tokens of all patterns as one matrix",
        "x": x.reshape(3, -1).tolist(),
        "landmarks": landmarks,
        "ridge": ridge,
        "W0": u.tolist(),
        "W1": w1.tolist(),
        "W2": w2.tolist(),
        "W3": v.tolist(),
        "f": outputs,
        "limit": attention_limit(x, epsilon, lambda gram: soft(gram, landmarks, ridge)),
    }


def prefix_attention(kernel, sequences, w, r, heads, soft):
    """f of tokens beside a prefix w, with e^{q·k} of the prefix in the hands of ``kernel``."""
    q0, k0, v0 = heads
    outputs = []
    for pattern in sequences:
        mean = np.zeros(w.shape[1])
        for token in pattern:
            q = q0 @ token
            weights = [np.exp(q @ k0 @ other / soft) for other in pattern] + [kernel(q, k0 @ one) for one in w]
            values = [v0 @ other for other in [*pattern, *w]]
            mean += sum(a * v for a, v in zip(weights, values, strict=True)) / sum(weights) / len(pattern)
        outputs += [float(np.sqrt(w.size) / w.shape[1] * one @ mean) for one in r]
    return outputs


def infinite_prefix():
    """Attention with a prefix by loops over tokens and vectors, in three forms; Jacobian and limit of the theory's."""
    random = np.random.default_rng(24)
    m, d, tau = 5, 3, 1.5
    soft = tau * np.sqrt(d)
    x, w, r = (random.standard_normal(shape) for shape in ((4, d), (m, d), (2, d)))
    signs = (-1.0) ** np.arange(m)
    f, rows = [], []
    for pattern in x:
        s = np.exp(w @ pattern / soft)
        s /= s.sum()
        for c in r / np.sqrt(d):
            values = signs * (w @ c)
            f.append(float(np.sqrt(m) * s @ values))
            slopes = np.outer(s * signs, c) + np.outer(s * (values - s @ values), pattern / soft)
            rows.append((np.sqrt(m) * slopes).ravel().tolist())
    # The mean over w ~ N(0, 1) of products of gradients, e^{…}(c + (c·w)x/τ√d): the exponentials move the Gaussian.
    tilts, g = x @ r.T / np.sqrt(d) / soft, x @ x.T / soft**2
    limit = np.zeros((4, 2, 4, 2))
    for i, c, j, o in np.ndindex(4, 2, 4, 2):
        one, other = tilts[i, c] + tilts[j, c], tilts[i, o] + tilts[j, o]
        products = (1 + g[i, j]) * (r[c] @ r[o]) / d + g[i, j] * one * other
        limit[i, c, j, o] = np.exp(g[i, j]) * (products + other * tilts[j, c] + one * tilts[i, o])
    sequences = random.standard_normal((4, 2, d))
    heads = [random.standard_normal((d, d)) / np.sqrt(d) for _ in range(3)]
    setting = (sequences, w, r, heads, soft)

    def phi(one):
        z = one / np.sqrt(soft)
        return np.where(z > 0, z + 1, np.exp(z))

    return {
        "made": "NumPy: loops over tokens and vectors, derivatives and the limit by hand",
        "x": x.tolist(),
        "sequences": sequences.reshape(4, -1).tolist(),
        "W0": w.tolist(),
        "R": r.tolist(),
        "Q": (heads[0] * np.sqrt(d)).tolist(),
        "K": (heads[1] * np.sqrt(d)).tolist(),
        "V": (heads[2] * np.sqrt(d)).tolist(),
        "temperature": tau,
        "f": f,
        "jacobian": rows,
        "limit": limit.reshape(8, 8).tolist(),
        "tokens": prefix_attention(lambda q, k: np.exp(q @ k / soft), *setting),
        "elu": prefix_attention(lambda q, k: phi(q) @ phi(k), *setting),
        "quadratic": prefix_attention(lambda q, k: 1 + q @ k / soft + (q @ k / soft) ** 2 / 2, *setting),
    }
