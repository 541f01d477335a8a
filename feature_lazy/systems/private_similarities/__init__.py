"""Efficiently computing similarities to private datasets (Backurs, Lin, Mahabadi, Silwal, Tarnawski 2024)."""

PAPER = "2403.08917"
CLAIM = (
    "Sums over private records, released once with noise, tell which class is nearest: at ε = 1 nearly as well as "
    "without noise, and the better the more the features have learnt on public data."
)
