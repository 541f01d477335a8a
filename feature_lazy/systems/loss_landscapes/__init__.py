"""Loss landscapes and the Hessian's spectrum on the data that are trained on, and on others (Gabdullin 2024)."""

PAPER = "2412.10146"
CLAIM = "Training makes the Hessian mainly positive; on patterns that are not the ones trained on, it is less so."
