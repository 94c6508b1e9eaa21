"""What the caller wants to read."""

from __future__ import annotations

import pytest

from hub.gateway.negotiate import language, takes_json


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "en"),
        ("az", "az"),
        ("az-AZ", "az"),
        ("AZ-Latn-AZ", "az"),
        ("en, az", "en"),
        ("en;q=0.5, az", "az"),
        ("az;q=0.5, en", "en"),
        ("ru, az;q=0.5", "az"),
        ("ru, tr", "en"),
        ("*", "en"),
        ("az;q=0", "en"),
        ("az;q=nonsense", "en"),
        ("az;q=0.4, *;q=0.9", "en"),
    ],
)
def test_language(accept: str, expected: str) -> None:
    assert language(accept) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("text/html, application/xhtml+xml, */*;q=0.8", True),
        ("application/problem+json", True),
        ("text/html", False),
        ("application/json;q=0, */*", False),
        ("*/*;q=0", False),
    ],
)
def test_json(accept: str, expected: bool) -> None:
    assert takes_json(accept) is expected
