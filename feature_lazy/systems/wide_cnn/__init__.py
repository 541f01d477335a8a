"""What can be learnt with wide convolutional networks (Cagnetta, Favero and Wyart 2023)."""

PAPER = "2208.01003"
CLAIM = (
    "A hierarchical network without overlaps learns a target of few patches faster than one of all: its error falls as "
    "its kernel's spectrum foretells."
)
NOTE = (
    "That targets of one patch are learnt with another exponent than those of both is told in one of the two sweeps of "
    "six targets each: 0.15 ± 0.11 and 0.08 ± 0.09 are between them. The asymptotic −¾ of one patch is not reached at "
    "n ≤ 512, so that exponents are held to theory's at the same n."
)
