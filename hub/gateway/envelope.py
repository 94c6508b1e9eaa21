"""The attributes of a CloudEvent in JSON (structured mode), as the headers that they are on Kafka (binary mode).

Whether they hold what they must is for the gate's steps to say; here it is only seen to that each can be a header.
Source: CloudEvents 1.0.2, JSON event format and Kafka protocol binding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hub.avro.invalid import kind_of
from hub.errors import Code
from hub.event import CONTENT_TYPE, Rejection
from hub.pipeline.attributes import STEP

REQUIRED = ("specversion", "id", "source", "type", "time")
PLAIN = {name: f"ce_{name}" for name in (*REQUIRED, "sequence", "correlationid", "causationid")}
MUST_BE_THERE = frozenset(PLAIN[name] for name in REQUIRED)
NOT_CARRIED = frozenset({"data", "data_base64", "datacontenttype", "dataschema"})
"""Of the envelope in JSON alone: on Kafka the body is Avro, and its schema is known by its id."""
NAME = re.compile(r"[a-z0-9]{1,40}")
EXTENSIONS_MAX, TEXT_MAX = 32, 1024
JSON = "application/json"
JSON_TYPE = re.compile(r"\s*(?:application/json|[a-z]+/[a-z0-9.+-]+\+json)\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
INT = range(-(1 << 31), 1 << 31)

Headers = dict[str, bytes]


def headers_of(event: Mapping[str, Any]) -> Headers | Rejection:
    """`ce_*` headers, in no certain order, with `content-type`; or why one of them cannot be a header."""
    try:
        headers = {
            "content-type": CONTENT_TYPE,
            "ce_specversion": event["specversion"].encode(),
            "ce_id": event["id"].encode(),
            "ce_source": event["source"].encode(),
            "ce_type": event["type"].encode(),
            "ce_time": event["time"].encode(),
        }
    except (KeyError, AttributeError):  # one is not there, or is no string
        return _carefully(event)
    usual = len(event) == len(REQUIRED) + ("data" in event) + (event.get("datacontenttype") == JSON)
    return headers if usual else _carefully(event)


def _carefully(event: Mapping[str, Any]) -> Headers | Rejection:
    headers: Headers = {"content-type": CONTENT_TYPE}
    for name, value in event.items():
        if name not in NOT_CARRIED and value is not None:  # null: as if it were not there
            text = value if type(value) is str else _canonical(value)
            header = PLAIN.get(name) or _extension(name, text, headers)
            if text is None or header is None:
                return _wrong(name, value)
            headers[header] = text.encode()
    if not headers.keys() >= MUST_BE_THERE:
        missing = next(name for name in REQUIRED if PLAIN[name] not in headers)
        return _invalid(missing, "a value", "nothing")
    return _data_problem(event) or headers


def _canonical(value: Any) -> str | None:
    """Boolean and Integer as CloudEvents writes them; None for what no attribute may be."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) and value in INT else None


def _extension(name: str, text: str | None, headers: Headers) -> str | None:
    """The header of an extension attribute; None where there can be none."""
    fits = text is not None and len(text) <= TEXT_MAX and len(headers) <= EXTENSIONS_MAX
    return f"ce_{name}" if fits and NAME.fullmatch(name) else None


def _wrong(name: str, value: Any) -> Rejection:
    if name in PLAIN:
        return _invalid(name, "a string", kind_of(value))
    # the name of an extension is the publisher's own text: it may be anything
    expected = f"an extension attribute named by a-z and 0-9, a string of at most {TEXT_MAX} characters"
    return Rejection(Code.HEADER_INVALID, STEP, f"expected {expected}, boolean or integer, found another one")


def _data_problem(event: Mapping[str, Any]) -> Rejection | None:
    if event.get("data_base64") is not None:
        return Rejection(Code.BODY_INVALID, "decode", "expected data, as JSON, found data_base64", "/data_base64")
    said = event.get("datacontenttype", JSON)
    if said != JSON and said is not None and not (isinstance(said, str) and JSON_TYPE.fullmatch(said)):
        return _invalid("datacontenttype", JSON, "another one")
    return None


def _invalid(name: str, expected: str, found: str) -> Rejection:
    return Rejection(Code.HEADER_INVALID, STEP, f"expected {expected}, found {found}", f"/{name}")
