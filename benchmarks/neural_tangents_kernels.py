"""neural-tangents' three ways to the empirical tangent kernel, on networks of kernels.py: wall time and peak memory.

Nothing imports this file, and it imports nothing of the project: neural-tangents needs jax, in a version of its own. To
run it, on Python 3.11:

    python3 -m venv nt
    nt/bin/pip install jax==0.5.3 jaxlib==0.5.3 absl-py frozendict
    nt/bin/pip install --no-deps neural-tangents==0.6.5
    nt/bin/python benchmarks/neural_tangents_kernels.py [--cases fc-500-64-100 …] [--methods …] [--json FILE]

The library asks for TensorFlow as well (2 GB), for one experimental module, which is left out below;
and its STRUCTURED_DERIVATIVES wants two names that jax 0.5.3 no longer has, which are given back.

The networks have the shapes of kernels.py, in float64 and on one thread; weights and patterns are other draws of the
same distributions. A kernel is that of x with itself (x2=None), compiled as a whole; compilation is not timed. Each
method has a process of its own for the wall time, the median of its repeats, and another one for the peak memory,
beyond what that held when the call began. Every kernel is checked against explicit gradients on its first patterns.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")

import jax  # noqa: E402
import neural_tangents as nt  # noqa: E402
import numpy as np  # noqa: E402
from jax._src import source_info_util  # noqa: E402
from jax.interpreters import ad  # noqa: E402
from neural_tangents import stax  # noqa: E402

jax.config.update("jax_enable_x64", True)
# STRUCTURED_DERIVATIVES looks for these names, which jax.interpreters.ad no longer has in this version.
for name, value in {"source_info_util": source_info_util, "config": jax.config}.items():
    if not hasattr(ad, name):
        setattr(ad, name, value)

BETA = 5.0
FACTOR = 1.4044  # close to what makes E φ² = 1
CHECKED = 5  # patterns whose part of the kernel is checked
TOLERANCE = 1e-10
SLOW_S = 30.0  # a call that takes longer is made once
METHODS = {
    "nt_jacobian_contraction": nt.NtkImplementation.JACOBIAN_CONTRACTION,
    "nt_vector_products": nt.NtkImplementation.NTK_VECTOR_PRODUCTS,
    "nt_structured_derivatives": nt.NtkImplementation.STRUCTURED_DERIVATIVES,
}


@dataclass(frozen=True)
class Case:
    """P patterns of d entries, and three hidden layers of width h."""

    n: int
    d: int
    h: int

    @property
    def name(self) -> str:
        """As on the command line, and as in kernels.py."""
        return f"fc-{self.n}-{self.d}-{self.h}"


CASES = {case.name: case for case in (Case(500, 64, 100), Case(300, 784, 300))}


def phi(z: jax.Array) -> jax.Array:
    """The activation: a scaled softplus of sharpness β."""
    return FACTOR * jax.nn.softplus(BETA * z) / BETA


def network(case: Case) -> tuple[Callable[..., Any], Callable[..., jax.Array]]:
    """The library's own layers, in NTK parametrisation and without biases: how to draw weights, and the outputs."""
    layers: list[Any] = []
    for _ in range(3):
        layers += [stax.Dense(case.h), stax.Elementwise(phi)]
    init, apply, _ = stax.serial(*layers, stax.Dense(1))
    return init, apply


def inputs(case: Case) -> tuple[Any, jax.Array]:
    """Weights of seed 0 and patterns with |x|² about d."""
    _, weights = network(case)[0](jax.random.PRNGKey(0), (case.n, case.d))
    weights = jax.tree_util.tree_map(lambda w: w.astype(np.float64), weights)
    x = jax.numpy.asarray(np.random.default_rng(0).standard_normal((case.n, case.d)))
    return jax.block_until_ready((weights, x))


def compiled(case: Case, method: str, weights: Any, x: jax.Array) -> Callable[[], jax.Array]:
    """The kernel (P, P, 1, 1) as a call without arguments, compiled and not yet run."""
    kernel = nt.empirical_ntk_fn(network(case)[1], trace_axes=(), vmap_axes=0, implementation=METHODS[method])
    program = jax.jit(lambda x, weights: kernel(x, None, weights)).lower(x, weights).compile()
    return lambda: program(x, weights).block_until_ready()


def check(case: Case, theta: jax.Array, weights: Any, x: jax.Array) -> None:
    """Compare the kernel of the first patterns with products of their gradients.

    Raises:
        ValueError: The kernel is another one.
    """
    apply = network(case)[1]
    gradients = [jax.grad(lambda w, p: apply(w, p)[0, 0])(weights, x[i : i + 1]) for i in range(CHECKED)]
    rows = np.stack([np.concatenate([np.ravel(part) for part in jax.tree_util.tree_leaves(g)]) for g in gradients])
    expected = rows @ rows.T
    difference = np.linalg.norm(np.asarray(theta)[:CHECKED, :CHECKED, 0, 0] - expected) / np.linalg.norm(expected)
    if not difference < TOLERANCE:
        raise ValueError(f"the kernel is off by {difference:.1e}")


def wall(case: Case, method: str, repeats: int) -> float:
    """Median seconds of a call, after a first one that is checked and, where calls are quick, not counted."""
    weights, x = inputs(case)
    call = compiled(case, method, weights, x)
    began = time.perf_counter()
    theta = call()
    first = time.perf_counter() - began
    check(case, theta, weights, x)
    if first > SLOW_S:
        return first
    times: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def peak(case: Case, method: str) -> int:
    """Bytes that a call needs in this process beyond its inputs and its program, the result included."""
    weights, x = inputs(case)
    small = Case(2, case.d, 2)
    compiled(small, method, *inputs(small))()  # what the first call loads is not part of it
    call = compiled(case, method, weights, x)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew: compiling is not part of it either (Linux)
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most so far (VmHWM; Linux)."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1])  # type: ignore[index]


def alone(what: str, case: Case, method: str, repeats: int, limit: float) -> tuple[float | None, str | None]:
    """Measure in a process of its own.

    Args:
        what: ``wall`` or ``peak``.
        case: The network and the number of patterns.
        method: One of METHODS.
        repeats: Calls that are timed.
        limit: Seconds that the process may take in all, compilation included.

    Returns:
        The number, or None and the reason why there is none.
    """
    command = [sys.executable, __file__, "--alone", what, case.name, method, "--repeats", str(repeats)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, f"not done within {limit:.0f} s"
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if re.match(r"[\w.]+(Error|Exception)\b", line)]
        return None, lines[-1][:200] if lines else f"its process ended with {done.returncode}"
    return float(done.stdout.splitlines()[-1]), None


def row(case: Case, method: str, repeats: int, limit: float) -> dict[str, Any]:
    """Measure a method, and print it."""
    found: dict[str, Any] = {"architecture": "fc", "P": case.n, "d": case.d, "h": case.h, "method": method}
    found |= {"wall_s": None, "peak_bytes": None}
    # Compilation, the first call and the repeats; calls of more than SLOW_S seconds are not repeated.
    found["wall_s"], reason = alone("wall", case, method, repeats, limit + SLOW_S * repeats)
    if reason is None:
        bytes_, reason = alone("peak", case, method, repeats, limit + SLOW_S)
        found["peak_bytes"] = None if bytes_ is None else int(bytes_)
    if reason is not None:
        found["reason"] = reason
    time_ = "" if found["wall_s"] is None else f"{found['wall_s']:9.3f} s"
    memory = "" if found["peak_bytes"] is None else f"{found['peak_bytes'] / 2**20:8.0f} MiB"
    print(f"{case.name:18s} {method:26s} " + "  ".join(filter(None, (time_, memory, reason))), flush=True)
    return found


def main() -> None:
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for compilation and a call; default 120")
    parser.add_argument("--json", help="write all rows to this file")
    parser.add_argument("--alone", nargs=3, metavar=("WHAT", "CASE", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        what, name, method = options.alone
        print(wall(CASES[name], method, options.repeats) if what == "wall" else peak(CASES[name], method))
        return
    print(f"neural-tangents {nt.__version__}, jax {jax.__version__}, float64, one thread")
    table: list[dict[str, Any]] = []
    for name in options.cases:
        for method in options.methods:
            table.append(row(CASES[name], method, options.repeats, options.limit))
            if options.json:
                Path(options.json).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
