"""Work that is counted, which a busy machine does not change: calls of functions, and files that are opened."""

import sys

_listening = []


def _hear(event, arguments):
    if event == "open" and _listening:
        _listening[-1].append(str(arguments[0]))


sys.addaudithook(_hear)


def calls(function):
    """Functions that a call calls on this thread, those of C and its own included."""
    count = 0

    def note(_, event, __):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def opened(function):
    """Paths that a call opens, one for each time."""
    _listening.append([])
    try:
        function()
    finally:
        found = _listening.pop()
    return found
