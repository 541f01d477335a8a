"""Gradient-normalised smoothness for optimisation with approximate Hessians (Semenov, Jaggi, Doikov 2025)."""

PAPER = "2506.13710"
CLAIM = "Newton's method adapts to any approximate Hessian, and is linear with a Fisher matrix where all data are fit."
