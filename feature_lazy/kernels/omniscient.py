"""Risk of kernel and random-feature ridge regression, from the spectrum of the kernel and what the target is made of.

The eigenframework of Simon, Karkada, Ghosh and Belkin (arXiv:2311.14646), which knows the population: eigenvalues λᵢ of
the kernel's operator, weights vᵢ² of the target in its eigenfunctions. With n patterns and k random features, whose
kernel is K̂ = ψψᵀ/k, and a ridge δ on that kernel, κ and γ ≥ 0 solve

    Σ λᵢ/(λᵢ + γ) + δ/κ = n,    Σ λᵢ/(λᵢ + γ) + kκ/γ = k.

Kernel regression is k → ∞, γ = κ. Features are taken as if Gaussian; the risk is that of the mean over draws.
"""

import math
from dataclasses import dataclass

import numpy as np

LARGEST = 1e150
"""γ beyond which nothing is learnt, over the largest eigenvalue: still far from overflow."""


@dataclass(frozen=True)
class Risk:
    """Expected mean squared errors, noise included.

    Attributes:
        test: on patterns of the population.
        train: on the n patterns.
        kappa: κ, the effective ridge.
        gamma: γ: modes with λ above it are learnt.
    """

    test: float
    train: float
    kappa: float
    gamma: float


def risk(
    eigenvalues: np.ndarray,
    coefficients: np.ndarray,
    n: float,
    *,
    k: float = math.inf,
    ridge: float = 0.0,
    noise: float = 0.0,
    counts: np.ndarray | None = None,
) -> Risk:
    """Test and training error of ridge regression (the eigenframework of random features, arXiv:2311.14646).

    With L = λ/(λ + γ), z = Σ L and q = Σ L²: test = [Σ (1 − L − κλ/(λ + γ)²·k/(k − q)) v² + σ²]/
    (1 − (q(k − 2z) + z²)/(n(k − q))), and train = (δ/nκ)²·test.

    Args:
        eigenvalues: λᵢ ≥ 0 of the operator, those of a kernel matrix on N patterns over N, (m,).
        coefficients: vᵢ², mean squares of the target's parts, (m,).
        n: training patterns.
        k: random features; infinite: the kernel itself.
        ridge: δ ≥ 0, added to the diagonal of the n × n kernel.
        noise: σ², variance of the noise on labels; test errors have it too.
        counts: how many modes each entry stands for, (m,); one each if omitted. Tails are sums by quadrature with it.

    Raises:
        ValueError: shapes or values that mean nothing, or a ridge of 0 where as many features, or as many modes, as
            patterns are not there, so that κ = 0.
    """
    lam, v2, mult = _checked(eigenvalues, coefficients, counts, n, k, ridge, noise)
    modes = float(mult[lam > 0].sum())
    if ridge == 0 and n >= min(k, modes):
        raise ValueError(
            f"n = {n:g} patterns, k = {k:g} features and {modes:g} modes without a ridge: κ = 0; set a ridge above 0."
        )
    gamma = _gamma(lam, mult, n, k, ridge)
    learnt = lam / (lam + gamma)
    z, q = float(mult @ learnt), float(mult @ learnt**2)
    kappa = gamma if math.isinf(k) else gamma * (k - z) / k
    share = 1.0 if math.isinf(k) else k / (k - q)  # k/(k − q)
    left = 1 - learnt - kappa * lam / (lam + gamma) ** 2 * share
    spread = q if math.isinf(k) else (q * (k - 2 * z) + z * z) / (k - q)
    test = float((mult * left) @ v2 + noise) / (1 - spread / n)
    return Risk(test, (ridge / (n * kappa)) ** 2 * test, kappa, gamma)


def _gamma(lam: np.ndarray, mult: np.ndarray, n: float, k: float, ridge: float) -> float:
    """γ: the left side of z + δ/κ = n falls in it, κ = γ(k − z)/k."""
    from scipy.optimize import brentq

    def excess(log_gamma: float) -> float:
        gamma = math.exp(log_gamma)
        z = float(mult @ (lam / (lam + gamma)))
        if z >= k:
            return math.inf
        kappa = gamma if math.isinf(k) else gamma * (k - z) / k
        return z + ridge / kappa - n

    high = math.log(float(lam.max()))
    while excess(high) > 0:
        high += 5
    low = high
    while excess(low) <= 0:
        low -= 5
    while math.isinf(excess(low)):  # halve the way to where features do not suffice
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) <= 0 else (middle, high)
    return math.exp(brentq(excess, low, high, xtol=1e-13))  # type: ignore[arg-type] - no full output is asked for


def _checked(
    eigenvalues: np.ndarray,
    coefficients: np.ndarray,
    counts: np.ndarray | None,
    n: float,
    k: float,
    ridge: float,
    noise: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lam, v2 = np.asarray(eigenvalues, dtype=float), np.asarray(coefficients, dtype=float)
    mult = np.ones_like(lam) if counts is None else np.asarray(counts, dtype=float)
    if lam.ndim != 1 or lam.shape != v2.shape or lam.shape != mult.shape:
        raise ValueError(
            f"eigenvalues {lam.shape}, coefficients {v2.shape} and counts {mult.shape} must be vectors of one length."
        )
    if not (np.isfinite(lam).all() and np.isfinite(v2).all() and (lam >= 0).all() and (v2 >= 0).all() and lam.any()):
        raise ValueError("eigenvalues and coefficients must be finite and not negative, and one eigenvalue above 0.")
    if not (n > 0 and k > 0 and ridge >= 0 and noise >= 0):
        raise ValueError(
            f"n = {n:g}, k = {k:g}, ridge = {ridge:g}, noise = {noise:g}: n and k above 0, others not below."
        )
    return lam, v2, mult


def fitting_ratio(a: float, b: float) -> float:
    """Train over test error at the best ridge, for λᵢ = i^−a and vᵢ² = i^−b without noise, as n → ∞.

    (1 − s)² with s = a(b − 1)/(b(a − 1)), and 0, interpolation, for b ≥ a (arXiv:2311.14646).

    Raises:
        ValueError: exponents of 1 or less, whose sums are not finite.
    """
    if not (a > 1 and b > 1):
        raise ValueError(f"a = {a:g} and b = {b:g}: both must be above 1, or the sums over modes are not finite.")
    return 0.0 if b >= a else (1 - a * (b - 1) / (b * (a - 1))) ** 2


def unseen(found: Risk, n: int, population: int) -> float:
    """Test error on those of ``population`` patterns, whose spectrum it is, that are not trained on.

    The eigenframework's population has the n training patterns in it: (N·test − n·train)/(N − n).
    """
    return (population * found.test - n * found.train) / (population - n)
