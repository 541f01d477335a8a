"""Makes neural_tangents.json and neural_tangents_images.json: kernels of infinite width from the library
neural-tangents, as a reference for ours.

Nothing imports this file: neural-tangents needs jax, in a version of its own, and the project does not. To run it:

    python3 -m venv nt
    nt/bin/pip install jax==0.5.3 jaxlib==0.5.3 absl-py frozendict
    nt/bin/pip install --no-deps neural-tangents==0.6.5
    nt/bin/python tests/data/neural_tangents_table.py

The library asks for TensorFlow as well (2 GB), for one experimental module, which is left out below.

A case is the project's network, f = a·W^L φ₀(…)/√h: Dense(W_std=1) on the patterns and Dense(W_std=a) after each φ₀,
in NTK parametrisation. Its biases are drawn from N(0, 1) and scaled by b_std, so a case with bias is ours with
bias = b_std and bias_std = 1.

Of images: convolutions with what is padded in two ways, each followed by φ, then the mean over positions and a dense
layer; and the wide residual network without its biases, on images of odd sides, where the library's padding is that of
the network. It adds branches without the network's factor √½; for a φ with φ(cz) = cφ(z) that is 2 in each block.
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

MADE_WITH = "neural-tangents 0.6.5, jax 0.5.3, float64"
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


# φ, padding, and for each convolution its side and stride.
CONVOLUTIONS = [
    ("relu", "VALID", 15, [(5, 2), (5, 1)]),
    ("erf", "VALID", 15, [(5, 2), (5, 1)]),
    ("erf", "SAME", 7, [(3, 2), (3, 1), (3, 1)]),
    ("gelu", "SAME", 7, [(3, 1), (3, 2)]),
]
CHANNELS = 2


def images(side: int) -> np.ndarray:
    """Three images of two channels, rows and columns first; the last is the second upside down."""
    n, c, i, j = np.meshgrid(np.arange(3), np.arange(CHANNELS), np.arange(side), np.arange(side), indexing="ij")
    x = np.sin(1.7 * n + 2.3 * c + 0.9 * i + 1.3 * j + 0.5 * i * j) + 0.3 * np.cos(i - n * j)
    x[2] = x[1, :, ::-1]
    return x


def of_images(network: tuple, side: int, factor: float = 1.0) -> dict[str, list[list[float]]]:
    """NTK and NNGP of a network of convolutions."""
    x = images(side).transpose(0, 2, 3, 1)
    found = network[2](x, None, ("ntk", "nngp"))
    return {"ntk": np.asarray(found.ntk * factor).tolist(), "nngp": np.asarray(found.nngp * factor).tolist()}


def convolutional(name: str, padding: str, side: int, windows: list[tuple[int, int]]) -> dict[str, list[list[float]]]:
    """Convolutions with φ after each, mean and dense layer."""
    layers, std = [], 1.0
    for size, stride in windows:
        layers += [stax.Conv(1, (size, size), (stride, stride), padding, W_std=std), NONLINEARITIES[name]]
        std = FACTORS[name]
    return of_images(stax.serial(*layers, stax.GlobalAvgPool(), stax.Dense(1, W_std=std)), side)


def wide_resnet(side: int) -> dict[str, list[list[float]]]:
    """Ten convolutions, ReLU, without biases: three stages of one block."""

    def conv(size: int, stride: int = 1, std: float = FACTORS["relu"]) -> tuple:
        return stax.Conv(1, (size, size), (stride, stride), "SAME", W_std=std)

    layers = [conv(3, std=1.0)]
    for stride in (1, 2, 2):
        branch = stax.serial(stax.Relu(), conv(3), stax.Relu(), conv(3, stride))
        straight = stax.Identity() if stride == 1 else conv(1, stride, 1.0)
        layers += [stax.FanOut(2), stax.parallel(straight, branch), stax.FanInSum()]
    network = stax.serial(*layers, stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1, W_std=FACTORS["relu"]))
    return of_images(network, side, 0.5**3)


def table_of_images() -> dict:
    """What neural_tangents_images.json holds."""
    sides = {side: images(side).reshape(3, -1).tolist() for side in (5, 7, 15)}
    cases = [
        {"activation": name, "factor": FACTORS[name], "padding": padding, "side": side, "windows": windows}
        | convolutional(name, padding, side, windows)
        for name, padding, side, windows in CONVOLUTIONS
    ]
    wide = {"activation": "relu", "factor": FACTORS["relu"], "side": 5, "depth": 10} | wide_resnet(5)
    return {"made_with": MADE_WITH, "images": sides, "cases": cases, "wide_resnet": wide}


def main() -> None:
    """Write the tables beside this file."""
    sets = {kind: patterns(kind) for kind in ("sphere", "norms")}
    cases = [
        {"activation": name, "factor": FACTORS[name], "depth": depth, "bias": bias, "patterns": kind}
        | kernels(name, depth, bias, sets[kind])
        for name, depth, bias, kind in CASES
    ]
    table = {
        "made_with": MADE_WITH,
        "beta": BETA,
        "patterns": {kind: x.tolist() for kind, x in sets.items()},
        "cases": cases,
    }
    for name, found in (("neural_tangents", table), ("neural_tangents_images", table_of_images())):
        lines = json.dumps(found).replace(', {"act', ',\n{"act')
        Path(__file__).with_name(f"{name}.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
