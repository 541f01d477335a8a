"""Why do learning rates transfer? Reconciling optimization and scaling limits for deep learning (Noci et al. 2024)."""

PAPER = "2402.17457"
CLAIM = (
    "In mean-field scaling sharpness rises alike at every width and the best learning rate stays; under NTK none rises."
)
