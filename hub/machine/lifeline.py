"""A child of the hub never outlives it: its standard input is a pipe whose other end the hub holds."""

from __future__ import annotations

import os
import signal
import threading

LIFELINE = "HUB_LIFELINE"
"""Set in a child's environment: end when standard input ends."""

LAST_WORD_SECONDS = 20.0


def hold() -> None:
    """In a child: SIGTERM to itself when the hub is gone, SIGKILL where that does not end it."""
    if os.environ.pop(LIFELINE, None):
        threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_WORD_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
