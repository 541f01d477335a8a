"""The flow in function space within an exponential step: how it is followed, and the path that comes of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.control import SmoothController, on_grid
from feature_lazy.dynamics.dense import hermite
from feature_lazy.dynamics.frozen import FrozenKernelFlow, along
from feature_lazy.dynamics.step import SHARE, norm
from feature_lazy.dynamics.steppers.rkc2 import MAX_STAGES, own_error, recursion, stages

INNER_STEPS = 2000
SMALLEST = 1e-12
"""Step, over the whole, below which a solution in function space is given up."""
FIRST_INNER_STEP = 0.02
"""First step to try in function space, over the whole."""
CONTROL = SmoothController(safety=0.8)


@dataclass(frozen=True)
class Path:
    """A solution a(s) in function space, with the nodes of each member.

    Attributes:
        times: of the nodes, from 0 to dt, for each member.
        a: at the nodes, (nodes, P) for each member.
        velocity: da/ds there.
        flops: what the solution cost each member, (M,).
        calls: evaluations in function space, (M,).
        complete: whether it reached dt, (M,) bool.
        decay: λ of a penalty: a then decays while it grows.
    """

    times: list[Tensor]
    a: list[Tensor]
    velocity: list[Tensor]
    flops: Tensor
    calls: Tensor
    complete: Tensor
    decay: float = 0.0

    def end(self) -> Tensor:
        """a at dt, (M, P)."""
        return ends(self.a)

    def moments(self, direction: Tensor, power: int) -> list[Tensor]:
        """Give c = ∫₀ˢ (u·a)ᵏ ȧ ds at the nodes for directions u (M, P): (nodes, P) for each member.

        With a decay it is the c of ċ = (u·a)ᵏ(ȧ + λa) − λc.
        """
        paths = zip(self.times, self.a, self.velocity, direction, strict=True)
        return [_moments(times, a, velocity, u, self.decay, power) for times, a, velocity, u in paths]

    def slopes(self, member: int, direction: Tensor, moments: Tensor, power: int) -> Tensor:
        """What ċ is at a member's nodes, for c there, (nodes, P) each."""
        a, velocity = self.a[member], self.velocity[member]
        gained = torch.add(velocity, a, alpha=self.decay)
        return torch.sub(along(direction, a) ** power * gained, moments, alpha=self.decay)

    def halfway(self, direction: Tensor) -> Tensor:
        """Where a has come about half of the way along u (M, P) to u·a = 1: (M, P)."""
        return torch.cat([self._halfway(member, u) for member, u in enumerate(direction)])

    def _halfway(self, member: int, direction: Tensor) -> Tensor:
        times, a = self.times[member], self.a[member]
        x = a @ direction
        right = int((2 * x >= x[-1]).nonzero()[0, 0].clamp(min=1))
        share = ((x[-1] / 2 - x[right - 1]) / (x[right] - x[right - 1])).nan_to_num(nan=0.5).double()
        s = torch.lerp(times[right - 1], times[right], share)
        return self.at(member, s[None], a, self.velocity[member])

    def at(self, member: int, s: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
        """What has some values and slopes at a member's nodes, (nodes, P), by cubic interpolation at s (k,): (k, P)."""
        times = self.times[member]
        right = torch.searchsorted(times, s).clamp(1, len(times) - 1)
        left = right - 1
        width = times[right] - times[left]
        fraction = ((s - times[left]) / width).clamp(0, 1)
        return hermite(fraction, width, (values[left], slopes[left]), (values[right], slopes[right]))


def over_length(value: Tensor, length: Tensor) -> Tensor:
    """What is had of a value (M, …) on each unit of a way, by its squared length (M, …); none where there is no way.

    Where a network rests short of a fit a step has no way but rounding, and aᵀΘa may be 0 or below.
    """
    return torch.where(length > 0, value / length, torch.zeros_like(value))


def ends(nodes: list[Tensor]) -> Tensor:
    """The last of each member's nodes, (M, P)."""
    return torch.stack([values[-1] for values in nodes])


def _moments(times: Tensor, a: Tensor, velocity: Tensor, direction: Tensor, decay: float, power: int) -> Tensor:
    """See ``Path.moments``, for one member; by Simpson's rule, which is all but exact for a cubic between the nodes.

    With a decay c = (u·a)ᵏa − e, ė = k(u·a)ᵏ⁻¹(u·ȧ)a − λe: what is integrated then vanishes where the path comes to
    rest, however long the last intervals are.
    """
    width = times.diff().to(a)[:, None]
    middle = (a[1:] + a[:-1]) / 2 - width / 8 * velocity.diff(dim=0)
    velocity_there = 1.5 * a.diff(dim=0) / width - (velocity[1:] + velocity[:-1]) / 4
    way, way_there = along(direction, a), along(direction, middle)
    if decay:
        rate = power * way ** (power - 1) * along(direction, velocity) * a
        there = power * way_there ** (power - 1) * along(direction, velocity_there) * middle
        left, half = torch.exp(-decay * width), torch.exp(-decay * width / 2)
        gained = width / 6 * (left * rate[:-1] + rate[1:] + 4 * half * there)
        late = [torch.zeros_like(a[0])]
        for kept, more in zip(left, gained, strict=True):
            late.append(kept * late[-1] + more)
        return way**power * a - torch.stack(late)
    ends = way**power * velocity
    parts = width / 6 * (ends[1:] + ends[:-1] + 4 * way_there**power * velocity_there)
    return torch.cat([torch.zeros_like(a[:1]), parts.cumsum(0)])


def solve(system: FrozenKernelFlow, dt: Tensor, tolerance: float, gone: Tensor) -> Path:
    """Follow the flow under a frozen kernel from a = 0 for the times dt (M,), by Chebyshev's method.

    The outputs have ``gone`` a way (M,) before, which counts for the tolerance as it does for the step that this
    solution is for. a itself is free: what is seen of it are F = F₀ + Θa and w = Jᵀa/α, and F has the larger error.
    Steps are few and cheap: what ``integrate`` does beside them would cost more than they.
    """
    member, t, left = torch.arange(len(dt), device=dt.device), torch.zeros_like(dt), dt
    a = torch.zeros_like(system.outputs0)
    velocity, outputs = system.evaluate(a, member)
    nodes = [[node] for node in zip(t, a, velocity, strict=True)]
    calls, complete, step = torch.ones_like(dt), torch.zeros_like(dt, dtype=torch.bool), on_grid(FIRST_INNER_STEP * dt)
    last_step = last_error = torch.full_like(dt, torch.nan)
    rejected = complete
    for _ in range(INNER_STEPS):
        step = torch.minimum(step, left)
        needed = stages(system.rate(outputs, member) * step)
        s = needed.clamp(max=MAX_STAGES).long()
        new = recursion(system, member, a, velocity, step, s)
        new_velocity, new_outputs = system.evaluate(new, member)
        calls[member] += s + 2.0
        moved = norm(new_outputs - outputs)
        wrong = norm(new_outputs - system.outputs(new - own_error(a, new, step, velocity, new_velocity), member))
        error = wrong / (tolerance * (moved + SHARE * gone))
        # Where nothing moves there is none, and a step that needs too many stages is too long.
        error = torch.where(wrong == 0, wrong, error).nan_to_num(nan=torch.inf).maximum((needed / MAX_STAGES) ** 2)
        accepted = error < 1
        now = [(t + step, t), (left - step, left), (new, a), (new_velocity, velocity), (new_outputs, outputs)]
        if not accepted.all():
            rows = accepted[:, None]
            now = [(torch.where(rows if to.dim() > 1 else accepted, to, at), at) for to, at in now]
        t, left, a, velocity, outputs = (to for to, _ in now)
        for row in accepted.nonzero()[:, 0].tolist():
            nodes[int(member[row])].append((t[row], a[row], velocity[row]))
        tried, step = step, CONTROL.next_step(step, error, 2.0, (last_step, last_error), rejected)
        gone, rejected = gone + torch.where(accepted, moved, 0.0), ~accepted
        last_step, last_error = tried.where(accepted, last_step), error.where(accepted, last_error)
        complete[member] = left == 0
        going = (left > 0) & (step > SMALLEST * dt[member])
        if not going.all():
            member, t, left, step, gone, a, velocity, outputs, last_step, last_error, rejected = (
                values[going]
                for values in (member, t, left, step, gone, a, velocity, outputs, last_step, last_error, rejected)
            )
            if not len(member):
                break
    times, a, velocity = (
        [torch.stack(part) for part in parts] for parts in zip(*(zip(*n, strict=True) for n in nodes), strict=True)
    )
    return Path(times, a, velocity, calls * system.flops.evaluate, calls, complete, system.decay)
