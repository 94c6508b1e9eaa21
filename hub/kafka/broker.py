"""The brokers of `--broker embedded|apache|external`, behind one small interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from types import TracebackType

from hub.kafka.connection import Connection


class Broker(ABC):
    """A broker that this process may use and, where it is a child process, owns.

    `with broker as connection:` starts it and stops it.
    """

    durable: bool
    """Whether what it acknowledged survives its own end."""

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """The broker's process while it runs; None where it is not ours."""

    @abstractmethod
    def start(self) -> Connection:
        """Return once it answers requests. Raises `ConfigError` saying what is missing, or the end of its log."""

    @abstractmethod
    def stop(self) -> None:
        """Return once it is gone. Safe to call again, and before `start`."""

    def __enter__(self) -> Connection:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Kind(StrEnum):
    """Values of `--broker` and `HUB_BROKER`."""

    EMBEDDED = "embedded"
    APACHE = "apache"
    EXTERNAL = "external"
