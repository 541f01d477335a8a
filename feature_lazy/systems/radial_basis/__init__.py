"""Gaussian radial basis functions with a learnt precision matrix (D'Agostino, Ilievski and Shoemaker 2023)."""

PAPER = "2307.05639"
CLAIM = "The precision matrix that Gaussians learn shows the directions that the target depends on."
NOTE = "In the replication the importance is above the bound in the mean, and its error bar reaches below."
