"""What an accelerator does: 20 seeds × 8 α trained together, and Θ against the device's own matrix rate.

    python benchmarks/gpu.py [--device cuda] [--json FILE]

It fits ten minutes: the throughput is that of three minutes of training at most, and Θ is made a few times. The
training is in float64, as all training is by default; Θ and the matrix rate are in float64 and in float32, TF32 off.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from feature_lazy.data.prepare import prepare
from feature_lazy.dynamics.choices import GradientFlow
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow, members_that_pay
from feature_lazy.dynamics.integrate import Limits, finish, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.kernels.factors import kernel_flops
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.settings.scales import rescaled

DEPTH = 3
SEEDS, X = 20, tuple(10 ** (-2 + 4 * k / 7) for k in range(8))
"""Seeds and √h·α of the networks that are trained."""
TRAINED, KERNEL, MATRIX = (1000, 100), (4000, 1000), 8192
"""P and h of the networks, of Θ, and the side of the matrices by which the rate is measured."""
DIMENSION = 100
"""d of the patterns for Θ."""
SECONDS, REPEATS = 180.0, 5
"""Of training at most, and how often a kernel and a product are made; the fastest counts."""
APART = {torch.float64: 1e-10, torch.float32: 1e-3}
"""How far a kernel may be from that of some patterns by the CPU in float64, over its size: rounding."""


@dataclass(frozen=True)
class Device:
    """Where it runs."""

    name: str

    def wait(self) -> None:
        """Until all that was asked of it is done."""
        if self.name.startswith("cuda"):
            torch.cuda.synchronize(self.name)

    def fastest(self, function: Callable[[], object]) -> float:
        """Seconds of the fastest of some calls, after one that does not count."""
        times = []
        for _ in range(REPEATS + 1):
            self.wait()
            began = time.perf_counter()
            function()
            self.wait()
            times.append(time.perf_counter() - began)
        return min(times[1:])


def throughput(device: Device) -> dict[str, object]:
    """Networks of 20 seeds × 8 α trained together: how far they come in so many seconds.

    Raises:
        SystemExit: a training that got nowhere, or a state that is not finite.
    """
    n_train, h = TRAINED
    data = prepare("digits", n_train, 100, 0).to(torch.float64, torch.device(device.name))
    net, loss = FullyConnected(data.input_dim, [h] * DEPTH, scaled(Softplus(5.0))), SoftHinge()
    one = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(s).items()}) for s in range(SEEDS)])
    w0 = one.repeat(len(X), 1).to(data.x_train)
    alpha = w0.new_tensor(X).repeat_interleave(SEEDS) / rescaled(1.0, h)
    with torch.no_grad():
        flow = NetworkFlow(net, data.x_train, data.y_train, loss, alpha=alpha, w0=w0, memory_limit=_memory(device))
        training = GradientFlow(method("auto", 1e-2)).prepare(flow, w0)
        state = start(flow, training.method.stepper, w0, training.dt, 1)
        device.wait()
        began = time.perf_counter()
        limits = Limits(1e-10, training.dt, time_budget=SECONDS)
        ended = finish(flow, training.method, state, limits, events=[converged(loss, data.y_train)])
        device.wait()
    seconds = time.perf_counter() - began
    flops = float(ended.state.flops.sum())
    if not (ended.state.steps.gt(0).all() and ended.state.y.isfinite().all()):
        raise SystemExit("20 seeds × 8 α: networks got nowhere, or are not finite. This is no result.")
    return {
        "what": "training",
        "P": n_train,
        "h": h,
        "networks": len(w0),
        "converged": sum(str(outcome) == "converged" for outcome in ended.outcomes),
        "batch_auto": members_that_pay(net, data.x_train, _memory(device)),
        "seconds": seconds,
        "gradient_equivalents_per_s": flops / flow.flops.evaluate / seconds,
        "flops_per_s": flops / seconds,
    }


def kernel(device: Device, dtype: torch.dtype) -> dict[str, object]:
    """Θ of one network, and the rate of a product of square matrices.

    Raises:
        SystemExit: a kernel that is not that of the CPU in float64.
    """
    n, h = KERNEL
    net = FullyConnected(DIMENSION, [h] * DEPTH, scaled(Softplus(5.0)))
    exact = {name: weight[None] for name, weight in net.init(0).items()}
    x = torch.randn(n, DIMENSION, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    params, patterns = {name: w.to(device.name, dtype) for name, w in exact.items()}, x.to(device.name, dtype)

    def theta() -> torch.Tensor:
        return tangent_kernel(net, params, patterns, memory_limit=_memory(device))

    with torch.no_grad():
        some = min(n, 50)
        found, expected = theta()[:, :some, :some].cpu().double(), tangent_kernel(net, exact, x[:some])
        apart = float(relative_change(found, expected).max())
        if not apart < APART[dtype]:
            raise SystemExit(f"Θ in {dtype} is {apart:.2g} from that of the CPU in float64. This is no result.")
        seconds = device.fastest(theta)
        a = torch.randn(MATRIX, MATRIX, dtype=dtype, device=device.name)
        rate = 2 * MATRIX**3 / device.fastest(lambda: a @ a)
    passes = n * (net.forward_flops + net.signal_flops)
    flops = passes + kernel_flops(net.layers, n, 1)
    return {
        "what": "kernel",
        "P": n,
        "h": h,
        "dtype": str(dtype).removeprefix("torch."),
        "seconds": seconds,
        "flops_per_s": flops / seconds,
        "matrix_rate": rate,
        "of_matrix_rate": flops / seconds / rate,
        "apart": apart,
    }


def _memory(device: Device) -> float:
    """Bytes for a batch or a kernel: half of an accelerator's, else the default of ``memory_limit``."""
    if not device.name.startswith("cuda"):
        return 2**30
    return torch.cuda.get_device_properties(device.name).total_memory / 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all.

    Raises:
        SystemExit: there is no such device.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu; default cuda")
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("Not run: PyTorch sees no CUDA device here.")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device, table = Device(options.device), []
    name = torch.cuda.get_device_name(device.name) if device.name.startswith("cuda") else "CPU"
    print(name)
    for measure in (throughput, *(lambda d, t=t: kernel(d, t) for t in (torch.float64, torch.float32))):
        table.append({"device": name, **measure(device)})
        print(
            "  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in table[-1].items()), flush=True
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
