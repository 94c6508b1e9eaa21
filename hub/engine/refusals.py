"""How many records of an agency have been refused in a row: beyond a limit, it is paused.

Counted by each partition number of the gate for itself, whole batches at a time: one good record among an agency's
in a batch, and its row is over. So 10 000 is the least that it takes, and no order is made up between partitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

from hub.errors import Code
from hub.event import Denial, Outcome, Record, Result, Tally, coordinates
from hub.pipeline.pause import Pause


class Rows:
    """Agency → records refused in a row, as far as they are committed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: Counter[str] = Counter()

    def after(self, tally: Mapping[Tally, int], spared: Container[str] = ()) -> Mapping[str, int]:
        """The rows of the agencies in a batch, once it is committed; those of `spared` stay as they are, where nothing
        of theirs was taken."""
        taken, refused = Counter[str](), Counter[str]()
        for each, count in tally.items():
            if each.outcome is Outcome.ACCEPTED:
                taken[each.agency] += count
            elif each.outcome is Outcome.REJECTED:
                refused[each.agency] += count
        if not refused and not self._rows:
            return {}
        return {a: self._rows[a] + n * (a not in spared) if refused[a] == n else 0 for a, n in taken.items()}

    def pauses(
        self, rows: Mapping[str, int], records: Sequence[Record], result: Result, writer: str, now: int
    ) -> list[Pause]:
        """Those beyond the limit, to be paused; each is a denial for the audit, added to `result`."""
        found = []
        for agency in (agency for agency, row in rows.items() if row >= self._limit):
            code = _main_code(result.tally, agency)
            last = next(record for record in reversed(records) if record.topic == f"in.{agency}")
            reason = f"{rows[agency]} refusals in a row up to {coordinates(last)}, most of them {code}"
            result.denials.append(Denial(agency, "pause the agency", code, coordinates(last)))
            found.append(Pause(agency, now, writer, reason))
        return found

    def committed(self, rows: Mapping[str, int]) -> None:
        """That batch is true now. One that is over the limit begins anew, when it is resumed."""
        for agency, row in rows.items():
            if 0 < row < self._limit:
                self._rows[agency] = row
            else:
                self._rows.pop(agency, None)


def _main_code(tally: Mapping[Tally, int], agency: str) -> Code:
    """For what most of an agency's records in a batch were refused."""
    codes = Counter({t.code: n for t, n in tally.items() if t.agency == agency and t.outcome is Outcome.REJECTED})
    return Code(codes.most_common(1)[0][0])
