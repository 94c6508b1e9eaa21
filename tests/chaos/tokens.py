"""A token for each agency, in a process of its own: `HUB_TOKENS=FILE python tokens.py AGENCY …` prints them as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hub.access import token, token_file
from hub.settings import load_settings


def main() -> None:
    made = {agency: token.make() for agency in sys.argv[1:]}
    with token_file.writing(load_settings().tokens_file()) as kept:
        kept += [token_file.Token(each.id, agency, each.digest, int(time.time())) for agency, each in made.items()]
    print(json.dumps({agency: each.text for agency, each in made.items()}))


if __name__ == "__main__":
    main()
