"""Spectral bottleneck of sinusoidal networks, and WINNER (Chandravamsi, Shenoy, Zachariah and Frankel 2025)."""

PAPER = "2509.09719"
CLAIM = (
    "A SIREN that begins without the frequencies of its target does not learn it; with noise on its weights it does."
)
NOTE = (
    "At P = 512 the bottleneck is of the kernel. Adam leaves all of the error for 100 updates, where WINNER has 0.02 "
    "left, and then finds the frequencies: after 500 updates SIREN has 0.007 left and WINNER 0.0006, and one SIREN in "
    "five has less than any WINNER. At P = 2048, the size of the paper's sweep, 400 updates leave SIREN all of it, "
    "and WINNER 0.0013 (two seeds)."
)
