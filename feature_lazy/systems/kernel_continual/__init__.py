"""Generative kernel continual learning (Derakhshani, Zhen, Shao and Snoek 2021)."""

PAPER = "2112.13410"
CLAIM = (
    "Tasks that come one after the other are told by kernels on patterns that a generator draws, better than on as "
    "much memory of stored patterns."
)
