"""When a generator has kept its schedule, and when a run of it proves nothing."""

from __future__ import annotations

from chaos.compose import Send
from chaos.history import History, Sent, punctual

PLANNED = 1000


def sent(late: float, again: int = 0) -> History:
    """One event a millisecond, each sent `late` milliseconds after its time; the first ones `again`, much later."""
    sends = [Send(n / 1000, "mia", "k", f"e-{n}", "t", 0, None, "", b"", "applied") for n in range(PLANNED)]
    rows = [Sent(n, send, send.at * 1000, send.at * 1000 + late) for n, send in enumerate(sends)]
    return History(rows + [Sent(PLANNED + n, sends[n], sends[n].at * 1000, 60_000) for n in range(again)])


def test_one_that_is_behind_is_found_out() -> None:
    assert punctual(sent(late=5)) and not punctual(sent(late=50))


def test_what_is_sent_again_is_not_late() -> None:
    assert punctual(sent(late=5, again=500)) and not punctual(sent(late=50, again=500))
