"""Writes `deploy/REFERENCE.md`, `deploy/RUNBOOK.md` and `deploy/schemas/` from code and catalogue, for `make docs`.

What is said about codes, metrics, settings, topics, types and agencies stands where the program reads it; only the
runbook's prose (`runbook.md`) and what operations do about a code (`operations.yaml`) stand beside this file.
`tests/unit/test_docs_fresh.py` fails when the pages and their sources differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from hub import metrics
from hub.admin.topics import wanted
from hub.catalogue import Agency, Catalogue, Entitlement, EventType, load
from hub.errors import Admission, Code
from hub.handbook.pages import documents
from hub.settings import Settings
from hub.texts import explain

HERE = Path(__file__).parent
DEPLOY = HERE.parents[1] / "deploy"
DAY_MS = 86_400_000
NOTE = "<!-- Written by `make docs` from {}. Change those, not this page. -->\n\n"


def main() -> None:
    for path, text in (pages() | schema_pages()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(DEPLOY.parent))


def pages() -> dict[Path, str]:
    """Every generated page by its place."""
    return {DEPLOY / "REFERENCE.md": reference(load()), DEPLOY / "RUNBOOK.md": runbook()}


def schema_pages() -> dict[Path, str]:
    """What `hub schema docs` writes, by its place."""
    return {DEPLOY / "schemas" / name: text for name, text in documents(load()).items()}


def runbook() -> str:
    prose = (HERE / "runbook.md").read_text(encoding="utf-8")
    operations = yaml.safe_load((HERE / "operations.yaml").read_text(encoding="utf-8"))
    sources = NOTE.format("hub/errors.py, hub/texts.yaml and tests/docs")
    codes = "\n".join(_code(code, operations[code.value]) for code in Code)
    doors = "\n".join(_door(code, operations[code.value]) for code in Admission)
    return sources + prose.replace("<!-- codes -->\n", codes).replace("<!-- doors -->\n", doors)


def _code(code: Code, operations: Mapping[str, str]) -> str:
    en, az = explain(code, "en"), explain(code, "az")
    return (
        f"### {code}\n\n"
        f"- **Sender:** {en.what} {en.fix}\n"
        f"- **Göndərən:** {az.what} {az.fix}\n"
        f"- **Found by:** {operations['step']}. `hub dlq list --code {code}`\n"
        f"- **Operations:** {operations['ops']}\n"
    )


def _door(code: Admission, operations: Mapping[str, str]) -> str:
    en, az = explain(code, "en"), explain(code, "az")
    return (
        f"### {code}\n\n"
        f"- **Caller:** {en.what} {en.fix}\n"
        f"- **Müraciət edən:** {az.what} {az.fix}\n"
        f"- **Operations:** {operations['ops']}\n"
    )


def reference(catalogue: Catalogue) -> str:
    parts = (_intro(), _metrics(), _settings(), _topics(catalogue), _types(catalogue), _agencies(catalogue))
    lists = (_services(catalogue), _codes_of_lists(catalogue), _records(catalogue))
    return NOTE.format("hub/ and schemas/") + "\n".join((*parts, *lists))


def _intro() -> str:
    return (
        "# Reference\n\n"
        "[Metrics](#metrics) · [Settings](#settings) · [Topics](#topics) · [Event types](#event-types) · "
        "[Agencies](#agencies) · [Services](#services) · [Districts and legal bases](#districts-and-legal-bases) · "
        "[The hub's own records](#the-hubs-own-records)\n\n"
        "*(assumed)* marks what no source at hand gives; the real thing may differ.\n"
    )


def _metrics() -> str:
    rows = ((f"`{_exposed(m)}`", _kind(m), _ticked(m.labels), m.help) for m in metrics.ALL)
    return "## Metrics\n\n" + _table(("name at `/metrics`", "kind", "labels", "what it says"), rows)


def _kind(metric: metrics.Meaning) -> str:
    kinds = {"counter": metrics.COUNTERS, "gauge": metrics.GAUGES, "histogram": metrics.HISTOGRAMS}
    return next((kind for kind, of in kinds.items() if metric in of), "info")


def _exposed(metric: metrics.Meaning) -> str:
    return metric.name + {"counter": "_total", "info": "_info"}.get(_kind(metric), "")


def _settings() -> str:
    rows = (
        (f"`HUB_{name.upper()}`", _default(of.get_default(call_default_factory=True)), of.description or "")
        for name, of in _fields()
    )
    told = "Environment variables, or the lower-case names in a TOML or YAML file that `HUB_CONFIG` names.\n\n"
    return "## Settings\n\n" + told + _table(("variable", "default", "what"), rows)


def _fields() -> Iterable[tuple[str, Any]]:
    return Settings.model_fields.items()


def _default(value: object) -> str:
    return "" if value in (None, [], {}) or isinstance(value, SecretStr) else f"`{value}`"


def _topics(catalogue: Catalogue) -> str:
    specs = wanted(catalogue)
    first = next(iter(catalogue.agencies))
    shown = [f"{kind}.{first}" for kind in ("in", "out", "receipts", "dlq")]
    shown += [name for name in specs if name.startswith("events.")] + ["state.ledger", "status.person"]
    shown += ["activity", "audit", "_schemas"]
    rows = ((f"`{name.replace(first, '<agency>')}`", _limits(specs[name].configs)) for name in shown)
    said = f"{len(specs)} topics; `hub topics plan` compares a broker with what they should be.\n\n"
    return "## Topics\n\n" + said + _table(("topic", "limits"), rows)


def _limits(configs: Mapping[str, str]) -> str:
    days = int(configs.get("retention.ms", -1)) // DAY_MS
    kept = "" if "retention.ms" not in configs else f" ({days:,} days)" if days >= 0 else " (for ever)"
    return ", ".join(f"`{name}={value}`" for name, value in configs.items()) + kept


def _types(catalogue: Catalogue) -> str:
    columns = ("type", "stream", "key", "published by", "received by")
    rows = (
        (f"[{_short(of.name)}](#{_anchor(of.name)})", of.stream, of.key_field, *map(str, _reach(catalogue, of)))
        for of in catalogue.types.values()
    )
    overview = "## Event types\n\nBy number of agencies that publish and receive each.\n\n" + _table(columns, rows)
    return overview + "\n" + "\n".join(_type(catalogue, of) for of in catalogue.types.values())


def _reach(catalogue: Catalogue, of: EventType) -> tuple[int, int]:
    return len(list(_publishers(catalogue, of))), len(catalogue.entitlements[of.name])


def _publishers(catalogue: Catalogue, of: EventType) -> Iterator[str]:
    return (agency.code for agency in catalogue.agencies.values() if of.name in agency.publishes)


def _type(catalogue: Catalogue, of: EventType) -> str:
    lines = [
        f"### {of.name}",
        "",
        of.schema["doc"],
        "",
        f"- Stream `{of.stream}`, key `{of.key_field}` ({of.key_kind}), owner `{of.owner}`, kept `{of.retention}`.",
        *_status(of),
        *(f"- Rule: `{rule.left} {rule.operator} {rule.right}`." for rule in of.rules),
        f"- Published by: {', '.join(_publishers(catalogue, of))}.",
        f"- Received by: {', '.join(map(_receiver, catalogue.entitlements[of.name])) or 'nobody'}.",
        "",
    ]
    columns = ("field", "type", "class", "constraints", "what")
    rows = (
        (f"`{f['name']}`", _avro(f["type"]), f["classification"], _constraints(f), f["doc"])
        for f in of.schema["fields"]
    )
    return "\n".join(lines) + "\n" + _table(columns, rows)


def _status(of: EventType) -> Iterator[str]:
    if rule := of.status:
        slot = f" (one per `{rule.slot}`)" if rule.slot else ""
        until = f", until `{rule.until}`" if rule.until else ""
        yield f"- Status `{rule.kind}`{slot}: {rule.transition} as of `{rule.effective}`{until}."


def _receiver(entitlement: Entitlement) -> str:
    when = ", ".join(f"{field} = {' or '.join(sorted(values))}" for field, values in entitlement.when.items())
    return f"{entitlement.agency} ({when})" if when else entitlement.agency


def _avro(of: Any) -> str:
    """An Avro type in a table's cell."""
    if isinstance(of, list):
        return " or ".join(_avro(branch) for branch in of)
    if isinstance(of, str):
        return of
    match of["type"]:
        case "enum":
            return "one of " + ", ".join(of["symbols"])
        case "array":
            return f"list of {_avro(of['items'])}"
        case "map":
            return f"map to {_avro(of['values'])}"
        case "record":
            return f"record ({', '.join(f['name'] for f in of['fields'])})"
    return str(of.get("logicalType", of["type"]))


def _constraints(field: Mapping[str, Any]) -> str:
    named = ("pattern", "minimum", "maximum", "maxLength", "catalogue")
    return ", ".join(f"{name} `{field[name]}`" for name in named if name in field)


def _agencies(catalogue: Catalogue) -> str:
    received: dict[str, list[str]] = {code: [] for code in catalogue.agencies}
    for name, entitlements in catalogue.entitlements.items():
        for entitlement in entitlements:
            received[entitlement.agency].append(name)
    columns = ("code", "kind", "name", "publishes", "receives")
    rows = (_agency(agency, received[agency.code]) for agency in catalogue.agencies.values())
    return "## Agencies\n\nEach has the topics `in.`, `out.`, `receipts.` and `dlq.` with its code.\n\n" + _table(
        columns, rows
    )


def _agency(agency: Agency, received: Sequence[str]) -> tuple[str, ...]:
    name = f"{agency.name.az} / {agency.name.en}{_assumed(agency.assumed)}"
    return f"`{agency.code}`", agency.kind, name, _listed(sorted(agency.publishes)), _listed(received)


def _services(catalogue: Catalogue) -> str:
    rows = (
        (f"`{s.code}`", f"{s.name.az} / {s.name.en}{_assumed(s.assumed)}", _ticked(s.providers))
        for s in catalogue.services.values()
    )
    return "## Services\n\nOf the unified coordination centres.\n\n" + _table(("code", "name", "providers"), rows)


def _codes_of_lists(catalogue: Catalogue) -> str:
    districts = ", ".join(f"`{d.code}` {d.name.az}" for d in catalogue.districts.values())
    rows = ((f"`{b.code}`", f"{b.name.az} / {b.name.en}{_assumed(b.assumed)}") for b in catalogue.bases.values())
    return f"## Districts and legal bases\n\n{districts}.\n\n" + _table(("legal basis", "name"), rows)


def _records(catalogue: Catalogue) -> str:
    shown = ("hub.Receipt", "hub.DeliveryReceipt", "hub.DeadLetter", "hub.PersonStatus")
    return "## The hub's own records\n\n" + "\n".join(_record(catalogue.records[name]) for name in shown)


def _record(schema: Mapping[str, Any]) -> str:
    rows = ((f"`{f['name']}`", _avro(f["type"]), f["doc"]) for f in schema["fields"])
    return f"### hub.{schema['name']}\n\n{schema['doc']}\n\n" + _table(("field", "type", "what"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that is no code shows `<agency>` instead of hiding it."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"[{_short(name)}](#{_anchor(name)})" for name in names)


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _anchor(name: str) -> str:
    """How common renderers of Markdown name a heading."""
    return name.lower().replace(".", "")


def _ticked(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _assumed(assumed: bool) -> str:
    return " *(assumed)*" if assumed else ""


if __name__ == "__main__":
    main()
