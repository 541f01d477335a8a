"""What kernels predict beside the runs of a sweep: baselines, each an option in a file of its own."""
