"""The generated pages say what the code and the catalogue say."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.generate import pages

PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], f"{path.name} is stale: run `make docs`"
