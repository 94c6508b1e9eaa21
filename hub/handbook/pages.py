"""Browsable pages: an index and a page for each event type, in Azerbaijani and English; nothing but files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal

import yaml

from hub.catalogue import Catalogue, Entitlement, EventType, Name
from hub.handbook.asyncapi import asyncapi
from hub.handbook.example import example, publishers
from hub.handbook.fields import Field, fields

Language = Literal["az", "en"]
HERE = Path(__file__).parent
LANGUAGES: tuple[Language, ...] = ("az", "en")
YES = {"clear": "✓", "masked": "•••"}


def documents(catalogue: Catalogue) -> dict[str, str]:
    """Name of each file below the folder → its text."""
    found = {"asyncapi.json": asyncapi(catalogue)}
    found |= {name: (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "page.js")}
    for language in LANGUAGES:
        found[f"{language}/index.html"] = _Pages(catalogue, language).index()
        for of in catalogue.types.values():
            found[f"{language}/{of.name}.html"] = _Pages(catalogue, language).event(of)
    return found


@cache
def words() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HERE / "words.yaml").read_text(encoding="utf-8"))
    return found


class _Pages:
    """The pages of one language."""

    def __init__(self, catalogue: Catalogue, language: Language) -> None:
        self.catalogue, self.language = catalogue, language
        self.words: Mapping[str, Any] = words()[language]

    def index(self) -> str:
        streams = "".join(self._stream(code) for code in self.catalogue.streams)
        return self._page(
            "index",
            self.words["title"],
            f"<h1>{self._w('title')}</h1><p class=lead>{self._w('lead')}</p>"
            f'<input type=search aria-label="{self._w("filter")}" placeholder="{self._w("filter")}">'
            f"<p id=none hidden>{self._w('none')}</p>{streams}"
            f"<h2>{self._w('machine')}</h2><p><a href=../asyncapi.json>AsyncAPI 3.0</a></p>",
        )

    def event(self, of: EventType) -> str:
        said = json.dumps(example(self.catalogue, of), ensure_ascii=False, indent=2)
        note = self.words["example_note"].format(agency=publishers(self.catalogue, of.name)[0])
        schema = json.dumps(of.schema, ensure_ascii=False, indent=2)
        return self._page(
            of.name,
            of.schema["name"],
            f"<h1>{escape(_spaced(of.schema['name']))}<small>{of.name}</small></h1>"
            f"<p class=lead>{escape(of.schema['doc'])}</p>{self._facts(of)}"
            f"<h2 id=fields>{self._w('fields')}</h2>{self._fields(of)}"
            f"<h2 id=who>{self._w('who')}</h2>{self._receivers(of)}"
            f"<h2 id=example>{self._w('example')}</h2><p class=note>{escape(note)}</p>{self._copied(said)}"
            f"<h2 id=avro>{self._w('avro')}</h2><details><summary>{of.name}.avsc</summary>{self._copied(schema)}"
            "</details>",
        )

    def _stream(self, code: str) -> str:
        types = [of for of in self.catalogue.types.values() if of.stream == code]
        head = "".join(f"<th>{self._w(name)}</th>" for name in ("type", "about", "published", "received"))
        rows = "".join(map(self._row, types))
        return (
            f"<section data-stream={code}><h2>{self._name(self.catalogue.streams[code].name)}</h2>"
            f"<div class=card><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
            if types
            else ""
        )

    def _row(self, of: EventType) -> str:
        senders = publishers(self.catalogue, of.name)
        receivers = [each.agency for each in self.catalogue.entitlements[of.name]]
        found = [of.name, of.schema["doc"], *senders, *receivers, *(field["name"] for field in of.schema["fields"])]
        found += [self._name(self.catalogue.agencies[code].name) for code in (*senders, *receivers)]
        return (
            f'<tr data-words="{escape(" ".join(found).lower(), quote=True)}">'
            f"<td><a href={of.name}.html>{escape(_spaced(of.schema['name']))}</a>"
            f"<small>{escape(of.schema['doc'])}</small></td>"
            f"<td>{self._w(of.key_kind)}</td><td>{self._few(senders)}</td><td>{self._few(receivers)}</td></tr>"
        )

    def _few(self, codes: list[str]) -> str:
        """Up to three by name, more by number."""
        if len(codes) > 3:
            return f"{len(codes)} {self._w('agencies')}"
        return "".join(f"<div>{self._name(self.catalogue.agencies[code].name)}</div>" for code in codes) or "–"

    def _facts(self, of: EventType) -> str:
        agencies = self.catalogue.agencies
        senders = publishers(self.catalogue, of.name)
        facts = {
            "published": "<br>".join(self._name(agencies[code].name) for code in senders),
            "owner": self._name(agencies[of.owner].name),
            "stream": f"{self._name(self.catalogue.streams[of.stream].name)} <code>events.{of.stream}</code>",
            "key": f"{self._w(of.key_kind)} <code>{of.key_field}</code>",
            "retention": self._w("forever") if of.retention == "forever" else f"<code>{of.retention}</code>",
            "status": self._status(of),
            "rules": "<br>".join(f"<code>{escape(f'{r.left} {r.operator} {r.right}')}</code>" for r in of.rules)
            or self._w("none_rules"),
        }
        cells = "".join(f"<div><b>{self._w(name)}</b>{said}</div>" for name, said in facts.items())
        return f'<div class="card facts">{cells}</div>'

    def _status(self, of: EventType) -> str:
        if of.status is None:
            return self._w("no_status")
        said: str = self.words[of.status.transition]
        return escape(said.format(kind=of.status.kind, effective=of.status.effective))

    def _fields(self, of: EventType) -> str:
        head = "".join(f"<th>{self._w(name)}</th>" for name in ("field", "kind", "class", "says"))
        rows = "".join(map(self._field, fields(of.schema)))
        note = f"<p class=note>{self._w('doc_note')}</p>" if self.words["doc_note"] else ""
        return f"<div class=card><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"

    def _field(self, field: Field) -> str:
        limits = [
            *([self._w("optional")] if field.nullable else []),
            *([f"{self._w('values')}: {escape(', '.join(field.symbols))}"] if field.symbols else []),
            *([f"{self._w('pattern')} <code>{escape(field.pattern)}</code>"] if field.pattern else []),
            *([escape(self.words["max"].format(n=field.longest))] if field.longest else []),
            *([escape(self.words["listed"].format(list=field.listed))] if field.listed else []),
        ]
        small = "".join(f"<small>{limit}</small>" for limit in limits)
        return (
            f"<tr><td><code>{field.path}</code></td><td>{escape(field.kind)}{small}</td>"
            f"<td><span class='tag {field.classification}'>{escape(self.words['classes'][field.classification])}</span>"
            f"</td><td lang=en>{escape(field.doc)}</td></tr>"
        )

    def _receivers(self, of: EventType) -> str:
        """Agencies down, fields across: what each of them sees."""
        entitlements = self.catalogue.entitlements[of.name]
        if not entitlements:
            return f"<p>{self._w('nobody')}</p>"
        names = [field["name"] for field in of.schema["fields"]]
        head = f"<th class=side>{self._w('receives')}</th>"
        head += "".join(f"<th><span class=down>{name}</span></th>" for name in names)
        head += f"<th>{self._w('when')}</th><th>{self._w('basis')}</th>"
        rows = "".join(self._receiver(each, names) for each in entitlements)
        notes = f"✓ {self._w('clear')} · ••• {self._w('masked')} · – {self._w('absent')}"
        if any(each.assumed for each in entitlements):
            notes += f" · {self._w('assumed_note')}"
        return (
            f"<div class='card matrix'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
            f"<p class=note>{notes}</p>"
        )

    def _receiver(self, of: Entitlement, names: Iterable[str]) -> str:
        agency = self.catalogue.agencies[of.agency]
        assumed = f" · {self._w('assumed')}" if of.assumed else ""
        cells = "".join(self._seen(of, name) for name in names)
        when = "; ".join(f"{name} = {', '.join(sorted(values))}" for name, values in of.when.items())
        basis = self._name(self.catalogue.bases[of.basis].name)
        return (
            f"<tr><th class=side>{self._name(agency.name)}<small>{of.agency}{assumed}</small></th>{cells}"
            f"<td class=text>{escape(when) or self._w('always')}</td><td class=text>{basis}</td></tr>"
        )

    def _seen(self, of: Entitlement, name: str) -> str:
        how = "clear" if name in of.clear else "masked" if name in of.masked else ""
        title = f"{name}: {self.words[how or 'absent']}"
        return f'<td class="{how}" title="{escape(title, quote=True)}">{YES.get(how, "–")}</td>'

    def _copied(self, text: str) -> str:
        done = escape(self.words["copied"], quote=True)
        button = f'<button type=button data-done="{done}">{self._w("copy")}</button>'
        return f"<div class=copy><pre>{escape(text)}</pre>{button}</div>"

    def _page(self, name: str, title: str, body: str) -> str:
        other = "en" if self.language == "az" else "az"
        back = "" if name == "index" else f"<a href=index.html>← {self._w('back')}</a>"
        written = self.words["written"].format(version=self.catalogue.version)
        return (
            f"<!doctype html>\n<html lang={self.language}>\n<meta charset=utf-8>\n"
            '<meta name=viewport content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<link rel=stylesheet href=../style.css>\n"
            f"<header><nav>{back}</nav><a href=../{other}/{name}.html hreflang={other}>{self._w('other')}</a></header>\n"
            f"<main>\n{_lines(body)}\n</main>\n<footer>{escape(written)}</footer>\n"
            "<script src=../page.js></script>\n</html>\n"
        )

    def _name(self, name: Name) -> str:
        return escape(getattr(name, self.language))

    def _w(self, word: str) -> str:
        return escape(self.words[word], quote=True)


def _spaced(name: str) -> str:
    """`VeteranStatusGranted` as people read it."""
    words = "".join(f" {c}" if c.isupper() else c for c in name).split()
    return " ".join([words[0], *(word.lower() for word in words[1:])]).replace("Dost ", "DOST ")


def _lines(html: str) -> str:
    """A row a line: what changes is seen in a comparison."""
    for tag in ("<tr", "<section", "<h2", "<div class=card", "<tbody"):
        html = html.replace(tag, f"\n{tag}")
    return html.strip()
