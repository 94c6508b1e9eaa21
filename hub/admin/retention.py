"""How long a topic keeps its records, from the durations that schemas state."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hub.errors import ConfigError

FOREVER = -1  # Kafka's own word for it in retention.ms
DAY = 86_400_000

# The longest that each calendar unit can be: a record is never deleted before its schema allows.
_DAYS = {"years": 366, "months": 31, "weeks": 7, "days": 1}
_ISO = re.compile(r"P(?=\d)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?")


def milliseconds(retention: str) -> int:
    """`P75Y`, `P6M`, `P2W`, `P30D` or `forever` (-1). Raises `ConfigError` for anything else."""
    if retention == "forever":
        return FOREVER
    found = _ISO.fullmatch(retention)
    if found is None:
        raise ConfigError(f"retention {retention!r} is neither `forever` nor an ISO 8601 duration of whole days")
    return sum(_DAYS[unit] * int(count) for unit, count in found.groupdict(default="0").items()) * DAY


def longest(retentions: Iterable[str]) -> int:
    """The longest of them in milliseconds; forever when one is, or when there are none to go by."""
    all_of_them = [milliseconds(each) for each in retentions]
    return FOREVER if FOREVER in all_of_them else max(all_of_them, default=FOREVER)
