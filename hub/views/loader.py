"""What the loader process does once it is the one: both views, each by a thread of its own."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import structlog

from hub import catalogue as catalogues
from hub import logs, registry
from hub.catalogue import Catalogue
from hub.errors import Fatal
from hub.kafka.connection import Connection
from hub.settings import load_settings
from hub.views.follow import Follower
from hub.views.receipts import PREFIX, ReceiptTable
from hub.views.statuses import TOPIC, StatusTable
from hub.views.unpack import Registered

END_SECONDS = 10.0
LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


def load(folder: Path, stop: threading.Event) -> None:
    """Read until `stop`, by the settings of the environment."""
    settings = load_settings()
    logs.configure(settings.log_level)
    catalogue = catalogues.load(settings.schemas) if settings.schemas else catalogues.load()
    followers_of = followers(settings.connection(), catalogue, folder, stop)
    log.info("views", folder=str(folder))
    for follower in followers_of:
        follower.start()
    while not stop.wait(LOOK_SECONDS):
        if not all(follower.alive for follower in followers_of):
            raise Fatal("a view has ended")  # the gateway starts this process again
    for follower in followers_of:
        follower.join(END_SECONDS)


def followers(connection: Connection, catalogue: Catalogue, folder: Path, stop: threading.Event) -> list[Follower]:
    """One for each view, not yet started."""
    unpack = Registered(partial(registry.read, connection))
    receipts = [PREFIX + agency for agency in catalogue.agencies]
    return [
        Follower(connection, ReceiptTable(unpack), receipts, folder, stop),
        Follower(connection, StatusTable(), [TOPIC], folder, stop),
    ]
