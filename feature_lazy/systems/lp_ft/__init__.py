"""Linear probing then fine-tuning from the tangent kernel's perspective (Tomihari and Sato 2024)."""

PAPER = "2405.16747"
CLAIM = (
    "Features change an order of magnitude less by fine-tuning when the output layer was trained first, whose norm has "
    "grown."
)
NOTE = (
    "Calibration at this size has no verdict: with some hundred patterns the calibration error of a network "
    "that is right nearly always is mostly the noise of its estimate."
)
