"""What can be learnt with wide convolutional networks (Cagnetta, Favero and Wyart 2023)."""

PAPER = "2208.01003"
CLAIM = (
    "A hierarchical network without overlaps learns a target of few patches faster than one of all: its error falls as "
    "its kernel's spectrum foretells."
)
