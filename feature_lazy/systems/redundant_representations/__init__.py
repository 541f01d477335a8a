"""Redundant representations help generalisation in wide neural networks (Doimo, Glielmo, Goldt and Laio 2021)."""

PAPER = "2106.03485"
CLAIM = "Under weight decay a few of the last hidden units say more of all others, and classify better by themselves."
