"""Learning rates as a function of batch size: a random matrix theory approach (Granziol, Zohren, Roberts 2020)."""

PAPER = "2006.09092"
CLAIM = "The largest eigenvalue of the curvature on B of P patterns lies above that on all by c·(1/B − 1/P)."
