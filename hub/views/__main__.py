"""`python -m hub.views`: the loader, started by each gateway; the settings come in the environment.

One loader writes the views of a data folder. The others wait for its lock, which the kernel frees when it ends,
however it ends; what they need is imported only then, so that waiting costs little memory.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

FOLDER = "views"


def main() -> None:
    """Wait for the lock, then read until SIGTERM or until the parent is gone."""
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    folder = Path(os.environ["HUB_DATA_DIR"]) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    from hub.views.loader import load

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which ends this
    load(folder, stop)


def _end_with_parent() -> None:
    """The parent holds the other end of standard input."""
    while os.read(0, 4096):
        pass
    os._exit(0)  # a view may be cut off anywhere: it goes on from its last transaction


if __name__ == "__main__":
    main()
