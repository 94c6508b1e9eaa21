"""A schemas folder of one's own: small, sound, and broken one line at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.catalogue import Catalogue, load
from hub.errors import Problem, SchemaError

GRANTED = "events/az.zefer.veteran.VeteranStatusGranted.avsc"
REQUESTED = "events/az.zefer.service.ServiceRequested.avsc"
RECORD = "hub/hub.Note.avsc"
REGISTER = "catalogue/catalogue.yaml"
AGENCIES = "catalogue/agencies.yaml"
SERVICES = "catalogue/services.yaml"
MOD = "catalogue/entitlements/mod.yaml"

FILES = {
    GRANTED: """{
  "type": "record", "namespace": "az.zefer.veteran", "name": "VeteranStatusGranted",
  "doc": "A status was granted.",
  "stream": "veteran",
  "owner": "zefer",
  "key": {"person": "fin"},
  "retention": "P75Y",
  "status": {
    "kind": "veteran",
    "slot": "category",
    "transition": "set",
    "effective": "effective_from",
    "until": "valid_until",
    "document": "document_number",
    "carries": ["category", "percent"]
  },
  "rules": [
    ["effective_from", "<", "valid_until"]
  ],
  "fields": [
    {"name": "fin", "type": "string", "doc": "ID.", "classification": "identifier", "pattern": "[0-9A-Z]{7}"},
    {"name": "surname", "type": "string", "doc": "Surname.", "classification": "personal", "maxLength": 100},
    {"name": "category", "type": {
      "type": "enum", "name": "Category", "doc": "Kinds.",
      "symbols": ["WAR", "LABOUR"]
    }, "doc": "Kind.", "classification": "personal"},
    {"name": "percent", "type": ["null", "int"], "doc": "Loss.", "classification": "special",
      "minimum": 0, "maximum": 100},
    {"name": "document_number", "type": "string", "doc": "Number.", "classification": "personal"},
    {"name": "effective_from", "type": {"type": "int", "logicalType": "date"}, "doc": "From.",
      "classification": "personal"},
    {"name": "valid_until", "type": ["null", {"type": "int", "logicalType": "date"}], "doc": "Until.",
      "classification": "personal"},
    {"name": "household", "type": {"type": "array", "items": {
      "type": "record", "name": "Member", "doc": "A member.", "fields": [
        {"name": "member_fin", "type": "string", "doc": "FIN.", "classification": "identifier",
          "pattern": "[0-9A-Z]{7}"},
        {"name": "kin", "type": "string", "doc": "Kinship.", "classification": "personal"}
      ]
    }}, "doc": "Members.", "classification": "personal"}
  ]
}
""",
    REQUESTED: """{
  "type": "record", "namespace": "az.zefer.service", "name": "ServiceRequested",
  "doc": "A service was asked for.",
  "stream": "service",
  "owner": "zefer",
  "key": {"case": "case_number"},
  "retention": "forever",
  "fields": [
    {"name": "case_number", "type": "string", "doc": "Case.", "classification": "open"},
    {"name": "provider", "type": "string", "doc": "Who.", "classification": "open", "catalogue": "agencies"},
    {"name": "district", "type": "string", "doc": "District.", "classification": "personal",
      "catalogue": "districts"},
    {"name": "service", "type": "string", "doc": "What.", "classification": "open", "catalogue": "services"},
    {"name": "remark", "type": ["null", "string"], "doc": "Remark.", "classification": "personal"},
    {"name": "urgent", "type": "boolean", "doc": "Urgent.", "classification": "open"}
  ]
}
""",
    RECORD: """{
  "type": "record", "namespace": "hub", "name": "Note",
  "doc": "A note.",
  "fields": [
    {"name": "text", "type": "string", "doc": "The text."}
  ]
}
""",
    REGISTER: """version: 1
streams:
  veteran: {name: {az: Veteran, en: Veterans}}
  service: {name: {az: Xidmət, en: Services}}
bases:
  law: {name: {az: Qanun, en: Law}, assumed: true}
districts:
  baki: {name: {az: Bakı, en: Baku}}
  gence: {name: {az: Gəncə, en: Ganja}}
""",
    AGENCIES: """- code: zefer
  kind: own
  name: {az: Zəfər, en: Zefer}
  publishes: [az.zefer.veteran.VeteranStatusGranted, az.zefer.service.ServiceRequested]
- code: mod
  kind: partner
  name: {az: Müdafiə Nazirliyi, en: Ministry of Defence}
  publishes: []
  assumed: true
""",
    SERVICES: """- code: record
  name: {az: Arayış, en: Certificate}
  providers: [mod]
""",
    MOD: """receives:
  az.zefer.veteran.VeteranStatusGranted:
    basis: law
    when: {category: WAR}
    clear: [fin, category, effective_from]
    masked: [surname, percent]
  az.zefer.service.ServiceRequested:
    basis: law
    when: {provider: self, district: [baki, gence]}
    clear: [case_number, provider, service]
""",
}


class Schemas:
    """A folder of schemas that a test breaks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file, text in FILES.items():
            self.write(file, text)

    def write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def text(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8")

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace the one place where `old` stands; "…" at the end of `old` takes the rest of the line."""
        text = self.text(file)
        if old.endswith("…"):
            start = text.index(old[:-1])
            old = text[start : text.index("\n", start)]
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        self.write(file, text.replace(old, new))

    def line(self, file: str, marker: str) -> int:
        """The line on which `marker` first stands."""
        text = self.text(file)
        return text[: text.index(marker)].count("\n") + 1

    def load(self) -> Catalogue:
        return load(self.folder)

    def problems(self) -> list[Problem]:
        with pytest.raises(SchemaError) as caught:
            self.load()
        return list(caught.value.problems)

    def only_problem(self) -> Problem:
        problems = self.problems()
        assert len(problems) == 1, "\n".join(map(str, problems))
        return problems[0]

    def assert_told(self, problem: Problem, file: str, marker: str, fix: str) -> None:
        """The problem names `file`, the line of `marker`, and what mends it."""
        assert problem.file == f"schemas/{file}"
        assert problem.line == self.line(file, marker), str(problem)
        assert fix in problem.fix, str(problem)
