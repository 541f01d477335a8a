"""Spectral bottleneck of sinusoidal networks, and WINNER (Chandravamsi, Shenoy, Zachariah and Frankel 2025)."""

PAPER = "2509.09719"
CLAIM = (
    "A SIREN that begins without the frequencies of its target does not learn it; with noise on its weights it does."
)
NOTE = (
    "At P = 512 the bottleneck is of the kernel. 100 updates of Adam leave SIREN 0.9 of the error or more and WINNER "
    "0.02, but then SIREN finds the frequencies: after 500 it has 0.007 left of one signal and 0.0002 of the other, "
    "WINNER 0.0006 of both. At P = 2048, the size of the paper's sweep, 400 updates leave SIREN all of it, and WINNER "
    "0.0013 (two seeds)."
)
