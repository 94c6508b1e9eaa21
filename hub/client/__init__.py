"""For agencies: publish to the hub over HTTP, learn what became of it, ask for a status.

    from hub.client import Client

    with Client("https://hub.example", token) as hub:
        sent = hub.publish("az.zefer.veteran.VeteranStatusGranted", {"fin": …, …})
        print(hub.event(sent.id, wait=5).state if sent.ok else (sent.code, sent.pointer, sent.fix))

Calls wait and try again by themselves when the hub is busy or away: an event keeps its id and time over all attempts,
so that it is taken once however often it was sent.
"""

from hub.client.client import Client
from hub.client.errors import HubAway, HubProblem, NotSent
from hub.client.results import Identity, Outcome, Receipts, Status, Story

__all__ = ["Client", "HubAway", "HubProblem", "Identity", "NotSent", "Outcome", "Receipts", "Status", "Story"]
