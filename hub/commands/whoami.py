"""`hub whoami`: who the hub takes one for."""

from __future__ import annotations

import json

from hub.client import HubAway, HubProblem, NotSent
from hub.commands.agency import TokenFile, Url, client, said
from hub.commands.terminal import AsJson, DataDir, Lang, language, settings_of, table


def whoami(
    url: Url = None, token_file: TokenFile = None, lang: Lang = "en", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Which agency the hub takes the holder of a token for, and what it may do."""
    with client(settings_of(data_dir=data_dir), url, token_file, language(lang)) as hub:
        try:
            found = hub.whoami()
        except (HubAway, HubProblem, NotSent) as error:
            raise said(error) from None
    if as_json:
        print(json.dumps(found.raw, ensure_ascii=False))
        return
    table(("", ""), ((name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
                     for name, value in found.raw.items()))  # fmt: skip
