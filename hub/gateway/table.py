"""Every route of the gateway, in one list; the busiest first."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route

from hub.gateway.about import About
from hub.gateway.openapi import Document
from hub.gateway.publish import Publishing


def table(
    publishing: Publishing, about: About, document: Document, asking: Sequence[Route], health: Sequence[Route]
) -> list[Route]:
    """`asking`: the doors for questions. Every one of these is in the OpenAPI document."""
    return [
        Route("/v1/events", publishing.post, methods=["POST"], name="publish"),
        *asking,
        Route("/v1/whoami", about.whoami, methods=["GET"], name="whoami"),
        Route("/v1/catalogue", about.catalogue, methods=["GET"], name="catalogue"),
        *health,
        Route("/openapi.json", document.get, methods=["GET"], name="openapi"),
    ]
