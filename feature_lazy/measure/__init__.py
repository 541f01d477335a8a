"""What is measured along a run, and of a network by itself."""
