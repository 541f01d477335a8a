"""Networks of infinite width: Gaussian expectations of activations, and the kernels that they make."""
