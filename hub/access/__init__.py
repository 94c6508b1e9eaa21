"""Who may come in at an HTTP door, how much at once, and what the auditors are told of it.

Doorkeeper   a request's bearer token or client certificate → `Caller`; else `Unauthenticated`, `Forbidden`
Limits       how much an agency may send: None, or the seconds to wait
Audit        denials and what left, to the topic `audit`; never holds a request up
tls          TLS for uvicorn, with the client's certificate in the ASGI scope
"""

from hub.access.audit import Audit
from hub.access.caller import Caller, Denied, Forbidden, Unauthenticated
from hub.access.doorkeeper import Doorkeeper
from hub.access.limits import Limits, Wait

__all__ = ["Audit", "Caller", "Denied", "Doorkeeper", "Forbidden", "Limits", "Unauthenticated", "Wait"]
