"""Stands between the hub and its broker process, so that the broker never outlives the hub.

Run as a script, with the standard library only: `python -I guard.py HUB_PID GRACE_SECONDS COMMAND…`.

- Its standard input is a pipe whose other end the hub holds; end of file (the hub closed it, or was killed with -9)
  or another parent than HUB_PID means: stop the broker. SIGTERM first, SIGKILL after GRACE_SECONDS (0: at once).
- It runs in a session of its own, so that Ctrl-C in the hub's terminal does not reach the broker before the hub has
  finished its own clean stop, and ignores what a process group might still be sent.
- On Linux the kernel kills the broker should the guard itself be killed (PR_SET_PDEATHSIG).

It writes `pid N` as its first line and ends with the broker's exit code.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.25


def main(hub: int, grace: float, command: list[str]) -> int:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, preexec_fn=_in_child) as broker:  # noqa: PLW1509 - one thread
        _tell(f"pid {broker.pid}\n")
        while broker.poll() is None and not _hub_is_gone(hub):
            pass
        _stop(broker, grace)
        return broker.returncode


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # the hub may be gone already: then the loop sees it
        os.write(1, line.encode())
    os.close(1)


def _hub_is_gone(hub: int) -> bool:
    """Wait a moment for either sign. The pipe alone is not enough: a forked child of the hub may hold its end."""
    readable, _, _ = select.select([0], [], [], POLL_SECONDS)
    return (bool(readable) and not os.read(0, 1)) or os.getppid() != hub


def _stop(broker: subprocess.Popen[bytes], grace: float) -> None:
    if broker.poll() is None and grace > 0:
        broker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            broker.wait(grace)
    if broker.poll() is None:
        broker.kill()
        broker.wait()


def _in_child() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)  # "ignored" survives exec: the broker would never hear SIGTERM
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
