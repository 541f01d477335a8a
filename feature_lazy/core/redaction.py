"""Secrets stay out of everything that is written: values of secret environment variables become ``***``."""

import logging
import os
import re
import sys

from feature_lazy.core.words import any_terminal

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
"""Names of environment variables whose values are secrets."""
SHORTEST = 6
"""Shorter values are no secrets, and would be found in any text."""


def redact(text: str) -> str:
    """A text without the values of secret environment variables."""
    secrets = {value for name, value in os.environ.items() if SECRET.search(name) and len(value) >= SHORTEST}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def printable(text: str) -> str:
    """A text from a file of somebody else's, without what would command a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def log_lines() -> None:
    """Log to standard output, dated, for processes that Hydra has not set up."""
    any_terminal()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class RedactingFormatter(logging.Formatter):
    """A log formatter that lets no secret through, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
