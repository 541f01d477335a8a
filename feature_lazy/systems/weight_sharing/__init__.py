"""Networks that use a weight at many places (Yang 2019 and 2020), and the independence of gradients."""

PAPER = "2006.14548"
CLAIM = (
    "Recurrent networks and attention have kernels of infinite width, as if gradients met other weights than signals."
)
