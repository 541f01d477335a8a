"""Errors from inside a user's own code, as sentences that name the module in which they arose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from traceback import walk_tb
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.core.redaction import redact

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def explained(what: str, advice: str = "") -> Iterator[None]:
    """Turn an error from inside a network into a sentence that names the module in which it arose.

    Errors of this package pass, and so does a lack of memory, which is not the network's.

    Raises:
        ConfigError: ``what``, the module by qualified name and class, how the error begins, and ``advice``.
    """
    try:
        yield
    except Exception as error:
        import torch

        ours = isinstance(error, FeatureLazyError | MemoryError | torch.cuda.OutOfMemoryError)
        if ours or "allocate memory" in str(error):
            raise
        reason = shorten(redact(str(error)) or type(error).__name__, 160, placeholder=" …").rstrip(".")
        raise ConfigError(f"{what}{_where(error)}: {reason}. {advice}".rstrip()) from error


def _where(error: Exception) -> str:
    """The innermost module whose code an error came through, as ``, in module 'name' (Class)``; nothing without one.

    Its frames are in the traceback, and the outermost module there knows the names of all.
    """
    from torch import nn

    selves = [frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__)]
    modules = [found for found in selves if isinstance(found, nn.Module)]
    if not modules:
        return ""
    names = {part: name for name, part in modules[0].named_modules()}
    return f", in {called(names.get(modules[-1], ''), modules[-1])}"


def called(name: str, module: nn.Module) -> str:
    """A module for people: by its qualified name, if it has one, and its class."""
    return f"module {name!r} ({type(module).__name__})" if name else f"module {type(module).__name__}"
