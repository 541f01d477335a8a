"""Quantitative propagation of chaos for SGD in wide neural networks (De Bortoli, Durmus, Fontaine, Şimşekli 2020)."""

PAPER = "2007.06352"
CLAIM = "With a learning rate ~ h^(β − 1) the noise of minibatches leaves wide networks for β < 1, and stays for β = 1."
