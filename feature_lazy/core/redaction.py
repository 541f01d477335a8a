"""Secrets stay out of everything that is written: values of secret environment variables become ``***``."""

import logging
import os
import re
import sys
import unicodedata

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
    """A text without what would command a terminal: control characters, and those that turn the writing around."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _shown(char) for char in text.expandtabs(4))


def _shown(char: str) -> str:
    """A character that is not printable, for people: a space of any width is one, all else a sign of its own."""
    return " " if unicodedata.category(char) == "Zs" else "�"


def clean(text: str) -> str:
    """A text as a terminal or a log may have it: ``printable``, without secrets."""
    return printable(redact(text))


def log_lines() -> None:
    """Log to standard output, dated, for processes that Hydra has not set up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class RedactingFormatter(logging.Formatter):
    """A log formatter that lets no secret and no control character through, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))
