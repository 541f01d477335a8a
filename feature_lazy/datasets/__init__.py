"""Real data as the article prepares it: balanced, on the sphere, labelled ±1 by parity.

``sources`` names the data without importing PyTorch, so that a command line can be checked at once.
"""
