"""The generated pages say what the code and the catalogue say, and what README shows can be used as it stands."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.generate import DEPLOY, pages, schema_pages
from world import catalogue, schemas

from hub.admin.publish import draft

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = pages()
WRITTEN = (
    *(
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "schemas/README.md",
        "deploy/agency/README.md",
    ),
    *map(str, PAGES),
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], f"{path.name} is stale: run `make docs`"


def test_the_pages_of_the_schemas_are_fresh() -> None:
    wanted = schema_pages()
    found = {path: path.read_text(encoding="utf-8") for path in (DEPLOY / "schemas").rglob("*") if path.is_file()}
    stale = sorted(
        str(path.relative_to(DEPLOY)) for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)
    )
    assert not stale, f"{len(stale)} stale ({stale[:3]}…): run `make docs`; remove what nothing writes"


def test_the_event_of_the_readme_can_be_published() -> None:
    (text,) = blocks("json")
    assert draft(catalogue(), schemas(), "mod", json.loads(text)).id == "mod-2026-000117"


def test_the_connector_of_the_readme_passes_its_own_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, confluent, connector, test = blocks("python")
    compile(program, "agency.py", "exec")
    compile(confluent, "confluent.py", "exec")
    folder = "connectors.sqlite_register"
    monkeypatch.setitem(sys.modules, folder, types.ModuleType(folder))
    monkeypatch.setitem(sys.modules, f"{folder}.connector", module(f"{folder}.connector", connector))
    kit = module(f"{folder}.test_connector", test, __file__=str(ROOT / "connectors/file_drop/test_connector.py"))
    kit.test_the_same_batch_twice_is_kept_once(tmp_path)


@pytest.mark.parametrize("name", WRITTEN, ids=lambda name: Path(name).name)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = target.partition("#")
        if not path.startswith("http"):
            there = page.parent / path if path else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def module(name: str, source: str, **given: Any) -> Any:
    made = types.ModuleType(name)
    vars(made).update(given)
    exec(compile(source, name, "exec"), vars(made))
    return made


def anchors(page: Path) -> Iterator[str]:
    """The headings of a page, as common renderers of Markdown name them."""
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
