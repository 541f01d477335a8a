"""Kernels of more patterns than fit in memory."""
