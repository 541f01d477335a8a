"""SETOL, a semi-empirical theory of learning: power laws in the spectra of weights (Martin and Hinrichs 2025)."""

PAPER = "2507.17912"
CLAIM = "The better a layer has learnt, the heavier is the tail of its spectrum, and the nearer two ways to begin it."
