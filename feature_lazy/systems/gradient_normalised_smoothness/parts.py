"""What stands for the Hessian of 𝓛 in a step, as ``dynamics.curvature`` names it; and what is recorded of steps."""

GGN, FISHER, NONE, HESSIAN = "ggn", "fisher", "none", "hessian"
COLUMNS = GAMMA, LAMBDA, TRIALS, STEP = "gns/gamma", "gns/lambda", "gns/trials", "gns/step"
"""What a state says of the step that led to it, in this order."""
