"""Scalable neural network kernels (Sehanobish, Choromanski, Zhao, Dubey and Likhosherstov 2023)."""

PAPER = "2310.13225"
CLAIM = (
    "Layers whose weights meet inputs in fixed random features can be merged into one that is linear in its weights."
)
