"""Toward infinite-long prefix in transformer (Liang, Shi, Song and Yang 2024)."""

PAPER = "2406.14036"
CLAIM = (
    "A prefix of many vectors learns without its weights going far, and attention with sums over it takes its place."
)
