"""Makes neural_tangents.json: kernels of infinite width from the library neural-tangents, as a reference for ours.

Nothing imports this file: neural-tangents needs jax, in a version of its own, and the project does not. To run it:

    python3 -m venv nt
    nt/bin/pip install jax==0.5.3 jaxlib==0.5.3 absl-py frozendict
    nt/bin/pip install --no-deps neural-tangents==0.6.5
    nt/bin/python tests/data/neural_tangents_table.py

The library asks for TensorFlow as well (2 GB), for one experimental module, which is left out below.

A case is the project's network, f = a·W^L φ₀(…)/√h: Dense(W_std=1) on the patterns and Dense(W_std=a) after each φ₀,
in NTK parametrisation. Its biases are drawn from N(0, 1) and scaled by b_std, so a case with bias is ours with
bias = b_std and bias_std = 1.
"""

import json
import math
import sys
import types
from pathlib import Path

sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")

import jax  # noqa: E402
import numpy as np  # noqa: E402

jax.config.update("jax_enable_x64", True)

from neural_tangents import stax  # noqa: E402

BETA = 5.0
# Any factors would do; these are close to those that make E φ² = 1, and exact as numbers of the file.
FACTORS = {"relu": 1.4142, "erf": 1.4629, "gelu": 1.5335, "sin": 1.5209, "softplus": 1.4044}
NONLINEARITIES = {
    "relu": stax.Relu(),
    "erf": stax.Erf(),
    "gelu": stax.Gelu(approximate=False),
    "sin": stax.Sin(),
    # No closed form: Gauss–Hermite quadrature, on deg² nodes. On the sphere deg = 600 changes the kernels by 3e-11 at
    # most; for the norms below it would change them by 5e-7, so they are left out.
    "softplus": stax.ElementwiseNumerical(lambda z: jax.nn.softplus(BETA * z) / BETA, deg=500),
}
CASES = [
    ("relu", 1, 0.0, "sphere"),
    ("relu", 3, 0.0, "sphere"),
    ("relu", 5, 0.0, "norms"),
    ("relu", 3, 0.1, "sphere"),
    ("relu", 2, 0.7, "norms"),
    ("erf", 1, 0.0, "norms"),
    ("erf", 3, 0.0, "sphere"),
    ("erf", 3, 0.5, "norms"),
    ("gelu", 1, 0.0, "norms"),
    ("gelu", 3, 0.0, "sphere"),
    ("sin", 2, 0.0, "norms"),
    ("sin", 3, 0.3, "sphere"),
    ("softplus", 1, 0.0, "sphere"),
    ("softplus", 3, 0.1, "sphere"),
]


def patterns(kind: str) -> np.ndarray:
    """Five patterns of d = 3, the last opposite to the first: |x|² = d q with q = 1, or √q = 0.3, 0.65 … 1.7."""
    i, j = np.arange(1, 6)[:, None], np.arange(1, 4)
    x = np.sin(1.7 * i + 2.3 * j + i * j)
    x *= math.sqrt(3) / np.linalg.norm(x, axis=1, keepdims=True)
    x[4] = -x[0]
    return x if kind == "sphere" else x * (0.3 + 0.35 * (i - 1))


def kernels(name: str, depth: int, bias: float, x: np.ndarray) -> dict[str, list[list[float]]]:
    """NTK and NNGP of one network."""
    dense = [stax.Dense(1, W_std=w, b_std=bias) for w in [1.0] + depth * [FACTORS[name]]]
    layers = [dense[0]]
    for after in dense[1:]:
        layers += [NONLINEARITIES[name], after]
    _, _, kernel = stax.serial(*layers)
    found = kernel(x, None, ("ntk", "nngp"))
    return {"ntk": np.asarray(found.ntk).tolist(), "nngp": np.asarray(found.nngp).tolist()}


def main() -> None:
    """Write the table beside this file."""
    sets = {kind: patterns(kind) for kind in ("sphere", "norms")}
    cases = [
        {"activation": name, "factor": FACTORS[name], "depth": depth, "bias": bias, "patterns": kind}
        | kernels(name, depth, bias, sets[kind])
        for name, depth, bias, kind in CASES
    ]
    table = {
        "made_with": "neural-tangents 0.6.5, jax 0.5.3, float64",
        "beta": BETA,
        "patterns": {kind: x.tolist() for kind, x in sets.items()},
        "cases": cases,
    }
    Path(__file__).with_name("neural_tangents.json").write_text(json.dumps(table).replace(', {"act', ',\n{"act') + "\n")


if __name__ == "__main__":
    main()
