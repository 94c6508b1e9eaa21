"""`GET /openapi.json`: the gateway as OpenAPI 3.1, made from its models, its operations and the catalogue."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from hub.catalogue import Catalogue, EventType
from hub.errors import Door
from hub.event import EVENT_ID, SEQUENCE, SOURCE_PREFIX
from hub.gateway.answers import Problem, RejectedEvents, StatusQuestion
from hub.gateway.bounds import MIB, Bounds
from hub.gateway.data_schema import MOMENT, component, data_schema
from hub.gateway.desk import PROBLEM
from hub.gateway.operations import EVENT, EVENTS, OPERATIONS, Operation, problems_of
from hub.handbook.example import example
from hub.metrics import hub_version
from hub.texts import explain

Node = dict[str, Any]
SCHEMAS = "#/components/schemas/"
EXAMPLE = "az.zefer.veteran.VeteranStatusGranted"
LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["az", "en"], "default": "en"},
    "description": "Of every text that is for people",
}
HEADERS: Node = {
    "Retry-After": {"description": "Seconds after which to send the same again", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}},
}


class Document:
    """Made at the first question for it."""

    def __init__(self, catalogue: Catalogue, bounds: Bounds) -> None:
        self._catalogue, self._bounds = catalogue, bounds

    async def get(self, request: Request) -> Response:
        return Response(self.text, media_type="application/json", headers={"Cache-Control": "max-age=300"})

    @cached_property
    def text(self) -> str:
        return json.dumps(self.said, ensure_ascii=False)

    @cached_property
    def said(self) -> Node:
        paths: Node = {}
        for operation in OPERATIONS:
            paths.setdefault(operation.path, {})[operation.method] = self._operation(operation)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Zəfər hub: gateway for agencies",
                "version": hub_version(),
                "description": self._description(),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}, {"certificate": []}],
            "paths": paths,
            "components": {
                "schemas": self._schemas(),
                "headers": HEADERS,
                "parameters": {"Language": LANGUAGE},
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "description": "`hub token issue AGENCY` makes one"},
                    "certificate": {"type": "mutualTLS", "description": "The agency's client certificate"},
                },
            },
        }

    def _description(self) -> str:
        bounds = self._bounds
        return (
            "Events between public agencies: each to those entitled to it, and no further. Errors are RFC 9457 "
            "problems, in English or Azerbaijani by Accept-Language. Personal data goes into bodies alone, never "
            "into an address. "
            f"A body has at most {bounds.body_bytes / MIB:g} MiB and {bounds.values} values of JSON, a batch "
            f"{bounds.batch_events} events, an event 1 MiB."
        )

    def _operation(self, operation: Operation) -> Node:
        said: Node = {"operationId": operation.id, "summary": operation.summary}
        if operation.description:
            said["description"] = operation.description
        if not operation.guarded:
            said["security"] = []
        parameters = [
            *operation.parameters,
            *([{"$ref": "#/components/parameters/Language"}] if operation.guarded else []),
        ]
        if parameters:
            said["parameters"] = parameters
        if operation.takes:
            said["requestBody"] = {"required": True, "content": self._content(operation)}
        return said | {"responses": self._responses(operation)}

    def _content(self, operation: Operation) -> Node:
        content: Node = {}
        for media, of in operation.takes.items():
            content[media] = {"schema": {"$ref": SCHEMAS + (of if isinstance(of, str) else of.__name__)}}
            if of in (EVENT, EVENTS) and EXAMPLE in self._catalogue.types:
                event = example(self._catalogue, self._catalogue.types[EXAMPLE])
                content[media]["examples"] = {"invented": {"value": event if of == EVENT else [event]}}
        return content

    def _responses(self, operation: Operation) -> Node:
        found: Node = {}
        for status, (model, description) in operation.answers.items():
            found[str(status)] = {"description": description, "content": _answer_content(operation, model)}
        for status, codes in sorted(problems_of(operation).items()):
            found.setdefault(str(status), _problem(status, codes))
        if operation.id == "publish":
            schema = {"$ref": SCHEMAS + RejectedEvents.__name__}
            said = f"{explain(Door.EVENTS_REJECTED, 'en').what} {explain(Door.EVENTS_REJECTED, 'en').fix}"
            found["422"] = {"description": said, "content": {PROBLEM: {"schema": schema}}}
        return dict(sorted(found.items()))

    def _schemas(self) -> Node:
        models = [model for o in OPERATIONS for model, _ in o.answers.values() if model]
        unique: list[type[BaseModel]] = list(dict.fromkeys([*models, Problem, RejectedEvents]))
        shown: list[tuple[type[BaseModel], JsonSchemaMode]] = [(StatusQuestion, "validation")]
        shown += [(model, "serialization") for model in unique]
        _, made = models_json_schema(shown, ref_template=SCHEMAS + "{model}")
        found: Node = dict(made["$defs"])
        for of in self._catalogue.types.values():
            found[component(of.name)] = data_schema(of.schema, self._codes)
            found[f"event.{of.name}"] = self._event(of)
        names = {name: f"{SCHEMAS}event.{name}" for name in self._catalogue.types}
        found[EVENT] = {
            "description": "A CloudEvent 1.0 in JSON; its data is that of its type",
            "oneOf": [{"$ref": reference} for reference in names.values()],
            "discriminator": {"propertyName": "type", "mapping": names},
        }
        found[EVENTS] = {"type": "array", "items": {"$ref": SCHEMAS + EVENT}, "maxItems": self._bounds.batch_events}
        return found

    @cached_property
    def _codes(self) -> dict[str, list[str]]:
        catalogue = self._catalogue
        return {name: list(getattr(catalogue, name)) for name in ("agencies", "services", "districts")}

    def _event(self, of: EventType) -> Node:
        publishers = sorted(a.code for a in self._catalogue.agencies.values() if of.name in a.publishes)
        lineage = {"type": ["string", "null"], "minLength": 1, "maxLength": 256}
        return {
            "type": "object",
            "description": of.schema["doc"],
            "required": ["specversion", "id", "source", "type", "time", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {"type": "string", "pattern": f"^{EVENT_ID.pattern}$", "description": "Nothing about the person"},
                "source": {"enum": [SOURCE_PREFIX + code for code in publishers], "description": "Yourself"},
                "type": {"const": of.name},
                "time": {**MOMENT, "description": "When you recorded it, with its offset"},
                "datacontenttype": {"type": ["string", "null"], "enum": ["application/json", None]},
                "sequence": {"type": ["string", "null"], "pattern": f"^{SEQUENCE.pattern.decode()}$"},
                "correlationid": lineage,
                "causationid": lineage,
                "data": {"$ref": SCHEMAS + component(of.name)},
            },
            "propertyNames": {"pattern": "^[a-z0-9]{1,40}$"},
            "additionalProperties": {"type": ["string", "boolean", "integer", "null"]},
        }


def _answer_content(operation: Operation, model: type[BaseModel] | None) -> Node:
    if model is not None:
        return {operation.media: {"schema": {"$ref": SCHEMAS + model.__name__}}}
    if operation.id == "openapi":
        return {"application/json": {"schema": {"type": "object"}}}
    return {"text/plain": {"schema": {"type": "string"}}}


def _problem(status: int, codes: list[str]) -> Node:
    """A refusal: the codes that it may have, each explained."""
    said = "\n".join(f"- `{code}`: {explain(code, 'en').what} {explain(code, 'en').fix}" for code in codes)
    schema = {"allOf": [{"$ref": SCHEMAS + Problem.__name__}, {"properties": {"code": {"enum": codes}}}]}
    found: Node = {"description": said, "content": {PROBLEM: {"schema": schema}}}
    names = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in names:
        found["headers"] = {names[status]: {"$ref": f"#/components/headers/{names[status]}"}}
    return found
