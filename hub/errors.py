"""What can go wrong, named by what happens next.

    HubError
    ├── ConfigError      a setting is missing or wrong: the process does not start
    ├── SchemaError      the catalogue or a schema is wrong: the process does not start
    ├── Retry(after)     the same batch again, after some seconds
    │   └── SchemaWanted(id)  once the version with that schema id is known
    ├── Park(code)       this person waits for this receiver; others go on
    └── Fatal            crash; the supervisor starts anew and state is rebuilt

A bad event is no exception inside the pipeline: it is a `Rejection`, which is data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Why an event was refused. Closed: metric label, DLQ header, key of the texts in `hub/texts.yaml`."""

    TOO_LARGE = "too_large"
    NOT_AVRO = "not_avro"
    SCHEMA_ID_UNKNOWN = "schema_id_unknown"
    HEADER_INVALID = "header_invalid"
    TYPE_UNKNOWN = "type_unknown"
    TYPE_MISMATCH = "type_mismatch"
    SOURCE_MISMATCH = "source_mismatch"
    TYPE_NOT_ALLOWED = "type_not_allowed"
    BODY_TRUNCATED = "body_truncated"
    BODY_TRAILING_BYTES = "body_trailing_bytes"
    BODY_OVERLONG = "body_overlong"
    BODY_INVALID = "body_invalid"
    FIN_INVALID = "fin_invalid"
    FIN_IN_HEADER = "fin_in_header"
    RULE_BROKEN = "rule_broken"
    IDENTITY_CONFLICT = "identity_conflict"
    INTERNAL = "internal"
    CRASHED_WORKER = "crashed_worker"


class Question(StrEnum):
    """Why a question of an agency is not answered (HTTP). Closed, as `Code` is."""

    EVENT_UNKNOWN = "event_unknown"
    PARAMETER_INVALID = "parameter_invalid"
    QUESTION_INVALID = "question_invalid"
    CURSOR_EXPIRED = "cursor_expired"
    STATUS_NOT_ENTITLED = "status_not_entitled"
    NOT_READY = "not_ready"


class Door(StrEnum):
    """Why a request as a whole is refused at the HTTP door. Closed, as `Code` is."""

    REQUEST_MALFORMED = "request_malformed"
    ROUTE_UNKNOWN = "route_unknown"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    BODY_TOO_SLOW = "body_too_slow"
    BODY_TOO_LARGE = "body_too_large"
    BATCH_TOO_LONG = "batch_too_long"
    ADDRESS_TOO_LONG = "address_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported"
    CONTENT_ENCODING_UNSUPPORTED = "content_encoding_unsupported"
    JSON_INVALID = "json_invalid"
    JSON_DUPLICATE_KEY = "json_duplicate_key"
    JSON_TOO_DEEP = "json_too_deep"
    ENVELOPE_INVALID = "envelope_invalid"
    EVENTS_REJECTED = "events_rejected"
    BUSY = "busy"
    BROKER_AWAY = "broker_away"
    FAILED = "failed"


class Admission(StrEnum):
    """Why somebody is not let in at an HTTP door, or has to wait. Closed, as `Code` is."""

    CREDENTIALS_MISSING = "credentials_missing"
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a code
    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105 - a code
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a code
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_INVALID = "certificate_invalid"
    CERTIFICATE_UNKNOWN = "certificate_unknown"
    PROOFS_DIFFER = "proofs_differ"
    AGENCY_UNKNOWN = "agency_unknown"
    REGISTRY_RIGHT_MISSING = "registry_right_missing"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXCEEDED = "quota_exceeded"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the catalogue: where (`file`, 1-based `line`), what, and what mends it."""

    file: str
    line: int
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}\n    fix: {self.fix}"


class HubError(Exception):
    """Root of the hub's own exceptions."""


class ConfigError(HubError):
    """A setting is missing or wrong."""


class SchemaError(HubError):
    """The catalogue or a schema cannot be used; carries every problem found, not the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Retry(HubError):
    """The same batch again after `after` seconds."""

    def __init__(self, message: str, after: float = 1.0) -> None:
        super().__init__(message)
        self.after = after


class SchemaWanted(Retry):
    """The same batch again once the version with this schema id is known: a step cannot go on without it."""

    def __init__(self, id: int) -> None:
        super().__init__(f"schema id {id} is not known yet")
        self.id = id


class Park(HubError):
    """The events of this person wait for this receiver; `code` says why."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class Fatal(HubError):
    """Going on would be wrong: crash, start anew, rebuild."""
