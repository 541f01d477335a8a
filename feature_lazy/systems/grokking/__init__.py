"""Grokking as the transition from lazy to rich training dynamics (Kumar, Bordelon, Gershman, Pehlevan 2023)."""

PAPER = "2310.06110"
CLAIM = (
    "A network that begins lazily fits first and generalises later, when its kernel has moved; a linearised one never."
)
