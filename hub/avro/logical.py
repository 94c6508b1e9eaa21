"""Dates, timestamps and decimals between what the wire holds (raw) and what Python shows (natural).

Raw: days, milliseconds, unscaled integers. Natural: date, aware datetime, decimal.Decimal, as fastavro has them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Context
from decimal import Decimal as Number

from hub.avro.invalid import invalid
from hub.avro.shape import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1).toordinal()
FIRST_DAY, LAST_DAY = 1 - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY
FIRST_MILLI, LAST_MILLI = FIRST_DAY * 86_400_000, LAST_DAY * 86_400_000 + 86_399_999
YEARS = "within the years 1 to 9999"


def date_of(days: int) -> date:
    if not FIRST_DAY <= days <= LAST_DAY:
        raise invalid(f"a date {YEARS}", "a day number outside them")
    return date.fromordinal(days + EPOCH_DAY)


def days_of(value: date) -> int:
    return value.toordinal() - EPOCH_DAY


def instant_of(millis: int) -> datetime:
    if not FIRST_MILLI <= millis <= LAST_MILLI:
        raise invalid(f"a timestamp {YEARS}", "a number of milliseconds outside them")
    return EPOCH + timedelta(milliseconds=millis)


def millis_of(value: datetime) -> int:
    """Refuses what would be guessed (no time zone) or lost (microseconds)."""
    if value.tzinfo is None:
        raise invalid("a timestamp with a time zone", "one without")
    since = value - EPOCH
    if since.microseconds % 1000:
        raise invalid("a timestamp in whole milliseconds", "one with microseconds")
    millis = since // timedelta(milliseconds=1)
    if not FIRST_MILLI <= millis <= LAST_MILLI:
        raise invalid(f"a timestamp {YEARS} in UTC", "one outside them")
    return millis


def decimal_of(unscaled: int, shape: Decimal) -> Number:
    if abs(unscaled) >= shape.limit:
        raise invalid(shape.said, "more digits")
    # a context of its own: the thread's default one rounds to 28 digits
    return Context(prec=shape.precision).scaleb(Number(unscaled), -shape.scale)


def unscaled_of(value: Number, shape: Decimal) -> int:
    """Exact or refused; no arithmetic on a number whose exponent would make it huge."""
    if not value.is_finite():
        raise invalid(shape.said, "a decimal that is no number")
    if value.is_zero():
        return 0
    if value.adjusted() >= shape.precision - shape.scale:
        raise invalid(shape.said, "more digits before the point")
    sign, digits, exponent = value.as_tuple()
    lost = -shape.scale - int(exponent)
    if lost > 0 and any(digits[-lost:]):
        raise invalid(shape.said, "more digits after the point")
    kept = digits[:-lost] if lost > 0 else digits + (0,) * -lost
    magnitude = int("".join(map(str, kept)))
    return -magnitude if sign else magnitude


def unscaled_bytes(unscaled: int, shape: Decimal) -> bytes:
    """Two's complement, big-endian: of the fixed's size, else the fewest bytes (as Java writes it)."""
    bits = (unscaled if unscaled >= 0 else ~unscaled).bit_length()
    return unscaled.to_bytes(shape.size or bits // 8 + 1, "big", signed=True)
