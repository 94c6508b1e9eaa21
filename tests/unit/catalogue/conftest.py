"""Fixtures: a schemas folder to break, and the catalogue of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.catalogue import Catalogue, load
from tests.unit.catalogue.folder import Schemas


@pytest.fixture
def schemas(tmp_path: Path) -> Schemas:
    return Schemas(tmp_path / "schemas")


@pytest.fixture(scope="session")
def shipped() -> Catalogue:
    return load()
