"""The AsyncAPI document and the pages: valid, complete, every example can be sent."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from world import catalogue, schemas

from hub.admin.publish import draft
from hub.handbook.example import example
from hub.handbook.pages import LANGUAGES, documents, words

OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0.json.gz"
"""AsyncAPI's own JSON Schema of its documents (Apache-2.0), as its initiative publishes it."""


@cache
def pages() -> dict[str, str]:
    return documents(catalogue())


@cache
def asyncapi() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pages()["asyncapi.json"])
    return found


def test_the_document_is_asyncapi() -> None:
    official = json.loads(gzip.decompress(OFFICIAL.read_bytes()))
    errors = jsonschema.Draft7Validator(official).iter_errors(asyncapi())
    assert [f"{list(error.absolute_path)}: {error.message[:200]}" for error in errors] == []


def test_every_reference_of_the_document_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', pages()["asyncapi.json"]):
        node: Any = asyncapi()
        for step in reference.split("/"):
            node = node[step]


def test_what_an_agency_may_send_and_gets_is_in_its_channels() -> None:
    channels = asyncapi()["channels"]
    for agency in catalogue().agencies.values():
        sent = channels.get(f"in.{agency.code}", {"messages": {}})["messages"]
        assert set(sent) == set(agency.publishes)
        due = {
            catalogue().projections[e.mask].name
            for entitlements in catalogue().entitlements.values()
            for e in entitlements
            if e.agency == agency.code
        }
        got = channels.get(f"out.{agency.code}", {"messages": {}})["messages"]
        assert set(got) == due


@pytest.mark.parametrize("name", sorted(catalogue().types))
def test_every_example_can_be_published(name: str) -> None:
    said = example(catalogue(), catalogue().types[name])
    agency = said["source"].rpartition(":")[2]
    assert draft(catalogue(), schemas(), agency, said).id == said["id"]
    assert said == example(catalogue(), catalogue().types[name])


def test_both_languages_say_the_same_things() -> None:
    assert _keys(words()["az"]) == _keys(words()["en"])
    names = {language: {n.split("/")[1] for n in pages() if n.startswith(f"{language}/")} for language in LANGUAGES}
    assert names["az"] == names["en"] == {"index.html", *(f"{name}.html" for name in catalogue().types)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_leads_to_a_page_and_every_tag_is_closed(language: str) -> None:
    for name, text in pages().items():
        if not name.startswith(language):
            continue
        parser = _Parser()
        parser.feed(text)
        assert parser.open == [], (name, parser.open)
        for link in parser.links:
            target = (Path(name).parent / link.partition("#")[0]).as_posix()
            assert _plain(target) in pages(), (name, link)


def test_a_page_says_who_sees_what() -> None:
    name = "az.zefer.veteran.VeteranStatusGranted"
    text = unescape(pages()[f"en/{name}.html"])
    for field in catalogue().types[name].schema["fields"]:
        assert f"<code>{field['name']}</code>" in text
    for entitlement in catalogue().entitlements[name]:
        row = next(line for line in text.splitlines() if f"<small>{entitlement.agency}" in line)
        assert row.count('class="clear"') == len(entitlement.clear)
        assert row.count('class="masked"') == len(entitlement.masked)


def _keys(node: dict[str, Any]) -> list[str]:
    return sorted(node) + [key for value in node.values() if isinstance(value, dict) for key in _keys(value)]


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


class _Parser(HTMLParser):
    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()
