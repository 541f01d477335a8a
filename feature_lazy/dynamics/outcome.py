"""How a member's training ended: always a named result, never a hang or a silent stop."""

from enum import StrEnum


class Outcome(StrEnum):
    """The reason why a member left the batch."""

    CONVERGED = "converged"
    STATIONARY = "stationary"
    T_END = "t_end"
    DT_FLOOR = "dt_floor"
    NON_FINITE = "non_finite"
    NO_EQUILIBRIUM = "no_equilibrium"
    MAX_STEPS = "max_steps"
    TIME_BUDGET = "time_budget"
    INTERRUPTED = "interrupted"

    @property
    def resumable(self) -> bool:
        """Whether the run goes on when the command is repeated; budgets are no part of a run's identity."""
        return self in (Outcome.MAX_STEPS, Outcome.TIME_BUDGET, Outcome.INTERRUPTED)

    @property
    def broken(self) -> bool:
        """Whether the network had no finite values where the member was to go."""
        return self in (Outcome.NON_FINITE, Outcome.NO_EQUILIBRIUM)

    @property
    def meaning(self) -> str:
        """One sentence for the user."""
        return _MEANING[self]


_MEANING = {
    Outcome.CONVERGED: "every training pattern has a margin F·y above the stop margin (1 for the soft hinge)",
    Outcome.STATIONARY: (
        "no force is left on the weights, but for rounding, and not every pattern is fit: dead units, weights or "
        "patterns that are zero, or equal patterns with opposite labels; or steps go around a minimum; "
        "with a regulariser, it and the loss balance: "
        "the gradient of 𝓛 is below regulariser.tol of the regulariser's"
    ),
    Outcome.T_END: "the time that was asked for is reached",
    Outcome.DT_FLOOR: "no step above dt_floor was accepted: a kink of the flow (hinge), or bounds too tight",
    Outcome.NON_FINITE: "infinities or NaN at every step down to dt_floor",
    Outcome.NO_EQUILIBRIUM: (
        "a network that is an equilibrium has none, or none that architecture.max_iter steps of its solver find, at "
        "every step down to dt_floor"
    ),
    Outcome.MAX_STEPS: "the budget dynamics.max_steps ran out; raise it and repeat the command to continue",
    Outcome.TIME_BUDGET: "the budget dynamics.time_budget ran out; raise it and repeat the command to continue",
    Outcome.INTERRUPTED: "a signal, or the end of the job's time, stopped it; repeat the command to continue",
}
