"""What deploy/agency/ shows is what the hub takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from world import catalogue, schemas

from hub.admin.publish import draft
from hub.commands.terminal import catalogue_of
from hub.gateway.answers import EventAnswer, ReceiptsAnswer, StatusAnswer, StatusQuestion
from hub.settings import Settings

PAGE = Path(__file__).parents[3] / "deploy/agency"


def test_the_sample_event_fits_its_schema() -> None:
    event = json.loads((PAGE / "event.json").read_text(encoding="utf-8"))
    assert draft(catalogue_of(Settings()), schemas(), "mod", event).id == event["id"]
    assert catalogue().may_publish("mod", event["type"])


def test_the_sample_question_is_one() -> None:
    question = json.loads((PAGE / "question.json").read_text(encoding="utf-8"))
    assert StatusQuestion.model_validate(question).after == "mod-2026-000123"


def test_the_words_of_the_page_are_those_of_the_answers() -> None:
    text = (PAGE / "README.md").read_text(encoding="utf-8")
    members = {
        name
        for model in (EventAnswer, ReceiptsAnswer, StatusAnswer)
        for name in json.dumps(model.model_json_schema()).replace('"', " ").split()
    }
    for word in ("state", "refusal", "outcome", "withheld", "absent", "masked", "in_flight", "pending", "next"):
        assert word in text and word in members
    assert not re.search(r"/v1/[^\s\"]*5ZK3LMP", text)
