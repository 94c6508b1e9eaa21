"""What the registry says no to, with the codes of Confluent's registry: clients know them."""

from __future__ import annotations

from hub.errors import HubError


class Refused(HubError):
    """An answer that is an error: HTTP `status`, the registry's own `code`, a message without any secret."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def malformed(why: str) -> Refused:
    return Refused(400, 400, why)


def too_slow(seconds: float) -> Refused:
    return Refused(408, 408, f"HTTP 408 Request Timeout: the body is expected within {seconds:.0f} seconds")


def busy(status: int) -> Refused:
    """429 where the caller has all the places that it may have, 503 where all are taken."""
    return Refused(status, status, f"HTTP {status}: too many requests are under way; send it again in a moment")


def unauthenticated() -> Refused:
    return Refused(
        401, 40101, "Unauthorized: send the agency's token, as a bearer or as the password of its code (Basic)"
    )


def denied(operation: str, resource: str, why: str) -> Refused:
    return Refused(403, 40301, f"User is denied operation {operation} on {resource}: {why}")


def subject_missing(subject: str) -> Refused:
    return Refused(404, 40401, f"Subject '{subject}' not found.")


def version_missing(version: object) -> Refused:
    return Refused(404, 40402, f"Version {version} not found.")


def schema_missing() -> Refused:
    return Refused(404, 40403, "Schema not found")


def id_missing(id: int) -> Refused:
    return Refused(404, 40403, f"Schema {id} not found")


def subject_deleted(subject: str) -> Refused:
    return Refused(404, 40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")


def subject_not_deleted(subject: str) -> Refused:
    return Refused(404, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_deleted(subject: str, version: int) -> Refused:
    return Refused(
        404,
        40406,
        f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently",
    )


def version_not_deleted(subject: str, version: int) -> Refused:
    return Refused(
        404,
        40407,
        f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted",
    )


def config_missing(subject: str) -> Refused:
    return Refused(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def mode_missing(subject: str) -> Refused:
    return Refused(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: str, details: list[str]) -> Refused:
    return Refused(
        409,
        409,
        f'Schema being registered is incompatible with an earlier schema for subject "{subject}", '
        f"details: [{', '.join(details)}]",
    )


def schema_invalid(why: str) -> Refused:
    return Refused(422, 42201, f"Invalid schema: {why}")


def not_kept(name: str) -> Refused:
    return Refused(422, 42201, f"This registry does not keep {name}: send the request without it")


def version_invalid(version: str) -> Refused:
    return Refused(
        422,
        42202,
        f"The specified version '{version[:40]}' is not a valid version id. Allowed values are between "
        '[1, 2^31-1] and the string "latest"',
    )


def level_invalid() -> Refused:
    return Refused(
        422,
        42203,
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, "
        "forward_transitive, and full_transitive",
    )


def mode_invalid() -> Refused:
    return Refused(422, 42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT")


def not_permitted(why: str) -> Refused:
    return Refused(422, 42205, why)


def referenced(subject: str, version: int, by: list[int]) -> Refused:
    what = f"{{subject={subject},version={version}}}"
    return Refused(422, 42206, f"One or more references exist to the schema {what}: ids {', '.join(map(str, by))}")


def id_taken(id: int, given: int) -> Refused:
    return Refused(422, 42207, f"Schema already registered with id {id} instead of input id: {given}")


def subject_invalid(why: str) -> Refused:
    return Refused(422, 42208, f"The specified subject is not a valid subject: {why}")


def store_failed(why: str) -> Refused:
    return Refused(500, 50001, f"Error in the backend data store: {why}")


def timed_out(why: str) -> Refused:
    return Refused(500, 50002, f"Operation timed out: {why}")
