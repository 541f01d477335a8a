"""Approximate Fisher information and natural gradient descent in wide neural networks (Karakida and Osawa 2020)."""

PAPER = "2010.00879"
CLAIM = "Wide networks fit as fast by parts of the Fisher matrix, layers or Kronecker factors, as by all of it."
