"""A request that is refused as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hub.errors import HubError

NONE: Mapping[str, str] = MappingProxyType({})


class Refused(HubError):
    """Answered with `status` and the texts of `code`. `detail` says expected and found, and quotes nothing."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        pointer: str = "",
        retry_after: int | None = None,
        headers: Mapping[str, str] = NONE,
    ) -> None:
        super().__init__(detail or code)
        self.status, self.code, self.detail, self.pointer = status, code, detail, pointer
        self.retry_after, self.headers = retry_after, headers
