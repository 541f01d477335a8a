"""Reference values: steps of stochastic gradient descent, and hyperparameters that are tuned."""

import numpy as np

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
