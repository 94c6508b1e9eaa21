"""`hub explain`: a code, or what became of an event, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.admin import trace
from hub.client import HubAway, HubProblem, NotSent, Story
from hub.commands.agency import TokenFile, Url, client, has_token, said
from hub.commands.pausing import held_back
from hub.commands.terminal import AsJson, DataDir, Lang, catalogue_of, fail, iso, language, out, settings_of
from hub.errors import Code, Door, Question
from hub.event import placed_once
from hub.machine.running import connect
from hub.settings import Settings
from hub.texts import Language, explain, texts

OURS = frozenset({Code.INTERNAL, Question.NOT_READY, Door.BUSY, Door.BROKER_AWAY, Door.FAILED})
"""What only the hub's operations can mend."""

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "means": "means",
        "job": "whose job",
        "fix": "what to do",
        "sender": "the agency that sent it",
        "operations": "operations of the hub",
        "accepted": "accepted, as {record}",
        "applied": "applied: status version {version}",
        "late": ", late: it corrects the past",
        "gap": "; a sequence number before it is missing",
        "duplicate": "a duplicate: known already, with the same content",
        "rejected": "rejected by {step}: {code}{at}: {detail}",
        "delivered": "delivered to {receiver} by {connector}",
        "parked": "waits for {receiver} ({connector})",
        "failed": "could not be delivered to {receiver} ({connector})",
        "in flight": "accepted, as {record}; no verdict yet",
        "offered": "lies ready for: {names}",
        "withheld": "withheld by entitlement, not for: {names}",
        "unknown": "whether they were to have it cannot be seen any more: {names}",
    },
    "az": {
        "means": "mənası",
        "job": "kimin işidir",
        "fix": "nə etməli",
        "sender": "hadisəni göndərən qurum",
        "operations": "mərkəzin istismar xidməti",
        "accepted": "qəbul edilib: {record}",
        "applied": "tətbiq edilib: statusun {version}-ci versiyası",
        "late": ", gecikmiş: keçmişi düzəldir",
        "gap": "; ondan əvvəlki sıra nömrəsi çatışmır",
        "duplicate": "təkrardır: eyni məzmunla artıq məlumdur",
        "rejected": "rədd edilib, addım {step}: {code}{at}: {detail}",
        "delivered": "çatdırılıb: {receiver} ({connector})",
        "parked": "gözləyir: {receiver} ({connector})",
        "failed": "çatdırıla bilmədi: {receiver} ({connector})",
        "in flight": "qəbul edilib: {record}; hələ qərar yoxdur",
        "offered": "hazırdır: {names}",
        "withheld": "hüquqa görə göndərilmir: {names}",
        "unknown": "göndərilməli olub-olmadığı artıq görünmür: {names}",
    },
}


def explain_command(
    what: Annotated[str, typer.Argument(help="A code, or an event's id; with a token, an id of that agency's own.")],
    lang: Lang = "en",
    url: Url = None,
    token_file: TokenFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """What a code means, whose job it is and what mends it; or what became of an event, in words."""
    spoken = language(lang)
    if (what, spoken) in texts():
        _code(what, spoken, as_json)
        return
    settings = settings_of(data_dir=data_dir)
    if has_token(token_file) or url:
        _asked(settings, what, (url, token_file), spoken, as_json)
    else:
        _read(settings, what, spoken, as_json)


def _code(code: str, spoken: Language, as_json: bool) -> None:
    text, words = explain(code, spoken), WORDS[spoken]
    job = words["operations" if code in OURS else "sender"]
    if as_json:
        print(json.dumps({"code": code, "what": text.what, "fix": text.fix, "job": job}, ensure_ascii=False))
        return
    out.print(f"[bold]{code}[/bold]", highlight=False)
    for name, value in (("means", text.what), ("job", job), ("fix", text.fix)):
        out.print(f"  {words[name]}: {value}", highlight=False, markup=False, soft_wrap=True)


def _asked(settings: Settings, id: str, at: tuple[str | None, Path | None], spoken: Language, as_json: bool) -> None:
    with client(settings, *at, spoken) as hub:
        try:
            story = hub.event(id)
        except (HubAway, HubProblem, NotSent) as error:
            raise said(error) from None
    if as_json:
        print(json.dumps(story.raw, ensure_ascii=False))
        return
    for line in told(story, spoken):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _read(settings: Settings, sought: str, spoken: Language, as_json: bool) -> None:
    """For operations: from the topics themselves, of whatever agency."""
    connection = connect(settings)
    stations = trace.trace(connection, catalogue_of(settings), sought)
    if not stations:
        held = held_back(connection, sought)
        fail(f"nothing is known of {sought}: it is no code, was not accepted here, or is still in flight{held}", 1)
    if as_json:
        print(json.dumps([{"at": s.at, "record": s.record, "what": s.what} for s in stations]))
        return
    for station in stations:
        out.print(
            f"{iso(station.at)}  {station.what}  ({station.record})", highlight=False, markup=False, soft_wrap=True
        )
    for code in sorted(code.value for code in Code if any(f": {code.value}" in s.what for s in stations)):
        _code(code, spoken, as_json=False)


def told(story: Story, spoken: Language) -> Iterator[str]:
    """A story in sentences, one a line."""
    words = WORDS[spoken]
    for record in story.in_flight:
        yield words["in flight"].format(record=record)
    for event in story.events:
        yield f"{event['type'] or '?'}  {event['event_id'] or ''}".rstrip()
        for station in event["timeline"]:
            yield f"  {station['at']}  {_station(station, words)}"
            if station.get("refusal"):
                yield f"    {station['refusal']['what']}"
                yield f"    → {station['refusal']['fix']}"
        for outcome in ("offered", "withheld", "unknown"):
            names = [r["agency"] for r in event["receivers"] if r["outcome"] == outcome]
            if names:
                yield "  " + words[outcome].format(names=", ".join(names))


def _station(station: Mapping[str, Any], words: Mapping[str, str]) -> str:
    refusal = station.get("refusal") or {}
    pointer = refusal.get("pointer")
    values = {**station, **refusal, "at": f" {pointer}" if pointer else ""}
    values["detail"] = placed_once(refusal.get("detail"), pointer)
    text = words[station["what"]].format_map(values)
    late = words["late"] if station.get("late") else ""
    return text + late + (words["gap"] if station.get("sequence_gap") else "")
