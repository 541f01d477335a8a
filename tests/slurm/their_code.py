"""Code of a user's own, copied into a test's folder: data that ends a job as it is told, and a network that is slow."""

import os
import signal
import time

import torch
from torch import nn

ACCIDENTS = {5: "raise", 9: "kill", 13: "memory"}
"""What happens at some values of α."""


def patterns(alpha: float):
    """Forty patterns; or what becomes of the job instead."""
    accident = ACCIDENTS.get(alpha)
    if accident == "raise":
        raise ArithmeticError("seven is not a pattern")
    if accident == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if accident == "memory":
        held = []
        while True:
            held.append(torch.ones(2**23, dtype=torch.float64))  # 64 MiB each, and touched
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, torch.sign(x[:, 0] * x[:, 1])


class Slow(nn.Module):
    """One hidden layer; a forward pass takes as long as the environment says, without work for the machine."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(width, 4))
        self.readout = nn.Parameter(torch.randn(width))

    def forward(self, x):
        time.sleep(float(os.environ.get("PASS_SECONDS", "0")))
        return torch.tanh(x @ self.hidden.T / 2) @ self.readout / len(self.readout) ** 0.5
