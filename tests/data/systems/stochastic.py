"""Reference values: steps of stochastic gradient descent, and hyperparameters that are tuned."""

import numpy as np
from scipy.optimize import minimize_scalar

from tests.data.systems.toy import network


def propagation_of_chaos():
    """The article's recursion for single units, of the mean-field network f = (1/N) Σ_k a_k φ(w_k·x/√d), ½(f − y)²/P.

    W_{n+1} = W_n − γN^{β−1}(n + γ_{α,β}^{−1})^{−α}·N∇𝓛 with γ_{α,β} = γ^{1/(1−α)}N^{(β−1)/(1−α)}, on all patterns.
    """
    random = np.random.default_rng(3)
    d, updates, gamma, beta, decay = 3, 12, 0.4, 0.6, 0.3
    x, y = random.standard_normal((4, d)), np.array([1.0, -1, 1, -1])
    found = []
    for h in (5, 20):
        own = random.standard_normal(h * d + h)
        w = own.copy()
        unit = gamma ** (1 / (1 - decay)) * h ** ((beta - 1) / (1 - decay))
        for n in range(updates):
            f, jacobian = network(w, x, h)  # √h times the mean-field network
            gradient = jacobian.T @ (f / np.sqrt(h) - y) / np.sqrt(h) / len(x)
            w = w - gamma * h ** (beta - 1) * (n + 1 / unit) ** -decay * h * gradient
        found.append({"h": h, "start": own.tolist(), "end": w.tolist(), "t": updates * unit})
    return {
        "made": "the recursion in units of the article, gradients from an explicit Jacobian; a·erf",
        "x": x.tolist(),
        "y": y.tolist(),
        "updates": updates,
        "lr": gamma,
        "lr_width": beta,
        "decay": decay,
        "runs": {f"h = {one['h']}": one for one in found},
    }


def self_tuning():
    """Ridge regression on the features of one hidden layer: λ of the least validation loss, and how weights answer."""
    random = np.random.default_rng(4)
    d, h, n, alpha = 4, 12, 30, 5.0
    x, valid = random.standard_normal((2, n, d))
    w = random.standard_normal(h * d + h)
    beta = random.standard_normal(d) / np.sqrt(d)
    y, y_valid = (part @ beta + 0.7 * random.standard_normal(n) for part in (x, valid))
    # The last columns of the Jacobian are the features.
    features, features_valid = (network(w, part, h)[1][:, h * d :] for part in (x, valid))
    square = features.T @ features / n

    def ridge(eta):
        """The way of the last weights, and d(way)/d ln λ: F = α·features·way."""
        matrix = square + np.exp(eta) * np.eye(h)
        way = np.linalg.solve(matrix, features.T @ y / (alpha * n))
        return way, -np.exp(eta) * np.linalg.solve(matrix, way)

    def loss(eta):
        return np.mean((alpha * features_valid @ ridge(eta)[0] - y_valid) ** 2) / 2

    best = minimize_scalar(loss, bounds=(-8, 2), method="bounded", options={"xatol": 1e-10})
    return {
        "made": "normal equations of ridge regression on features a·erf, minimize_scalar over ln λ",
        "h": h,
        "alpha": alpha,
        "x_train": x.tolist(),
        "x_valid": valid.tolist(),
        "y_train": y.tolist(),
        "y_valid": y_valid.tolist(),
        "weights": w.tolist(),
        "log_strength": float(best.x),
        "valid_loss": float(best.fun),
        "way": ridge(best.x)[0].tolist(),
        "answer": ridge(best.x)[1].tolist(),
    }
