"""What stands for the Hessian of 𝓛 in a step, as ``dynamics.curvature`` names it."""

GGN, FISHER, NONE, HESSIAN = "ggn", "fisher", "none", "hessian"
