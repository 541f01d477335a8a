"""Neural tangent kernels, exact and layer by layer."""

from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.layerwise import describe, relative_change, tangent_kernel

__all__ = ["describe", "jacobian_kernel", "relative_change", "tangent_kernel"]
