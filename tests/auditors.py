"""Stands for the audit where a doorkeeper tells it of denials."""

from __future__ import annotations


class Auditors:
    """Keeps what the audit would be told."""

    def __init__(self) -> None:
        self.denials: list[tuple[str | None, str, str]] = []

    def denied(self, agency: str | None, action: str, code: str, count: int = 1) -> None:
        self.denials.append((agency, action, code))
