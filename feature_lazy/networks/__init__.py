"""Networks as pure functions with a leading member axis."""
