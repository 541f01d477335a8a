"""Knowledge distillation in wide networks: risk bound, data efficiency and imperfect teacher (Ji and Zhu 2020)."""

PAPER = "2010.10090"
CLAIM = (
    "Soft labels of a teacher are learnt with less weight change the more patterns there are, and with truth mixed in "
    "a student does without the errors of its teacher."
)
