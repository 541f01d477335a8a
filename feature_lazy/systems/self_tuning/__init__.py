"""Self-tuning networks: bilevel optimisation by structured best-response functions (MacKay et al. 2019)."""

PAPER = "1903.03088"
CLAIM = "One training that learns how its weights answer to a hyperparameter ends where a grid of trainings is best."
