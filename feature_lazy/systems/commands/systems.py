"""List the systems of the literature: paper, claim, the command that reproduces it, and what its law is."""

import argparse
import textwrap

from feature_lazy.core.terminal import say

WIDTH = 80


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no argument."""


def call(options: argparse.Namespace) -> int:
    """Print."""
    from feature_lazy.systems.table import systems

    for system in systems():
        head = f"{system.folder}  arXiv:{system.paper}  {system.state}"
        say(head)
        say(textwrap.fill(system.claim, WIDTH, initial_indent="  ", subsequent_indent="  "))
        say(f"  {system.command}  # {system.seconds:.0f} s of one core")
    return 0
