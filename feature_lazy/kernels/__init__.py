"""Neural tangent kernels, exact and layer by layer."""

from feature_lazy.kernels.layerwise import describe, relative_change, tangent_kernel

__all__ = ["describe", "relative_change", "tangent_kernel"]
