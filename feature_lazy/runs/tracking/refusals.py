"""Why W&B takes no runs, in words that say what to do: its own are those of its protocol."""

import re
from typing import TYPE_CHECKING

from feature_lazy.core.redaction import redact

if TYPE_CHECKING:
    from feature_lazy.runs.tracking.wandb import Place

KNOWN = (
    (
        r"returned error 401|not logged in|AuthenticationError",
        "the server does not accept the API key; log in again by wandb login --relogin, or set WANDB_API_KEY",
    ),
    (
        r"returned error 403|permission denied",
        "the account may not write to {where}; choose another by tracking.entity=NAME, in sync by --entity NAME",
    ),
    (
        r"entity .* not found",
        "the server has no {where}; choose another by tracking.entity=NAME, in sync by --entity NAME",
    ),
    (
        r"MailboxClosedError|Connection lost",
        "W&B's own process has ended; feature-lazy sync sends what is missing",
    ),
)
"""What W&B says, as a pattern, and what that means."""


def reason(error: Exception, place: "Place") -> str:
    """One line: what an error of W&B means, where it is known, and in any case what W&B says."""
    text = " ".join(redact(f"{type(error).__name__}: {error}").split())
    text = re.sub(r" for run [0-9a-f]{16}\b", "", text)  # so that a reason of many runs is one
    where = f"project {place.project!r}" + (f" of {place.entity!r}" if place.entity else "")
    for pattern, meaning in KNOWN:
        if re.search(pattern, text):
            return f"{meaning.format(where=where)} ({text})"
    return text
