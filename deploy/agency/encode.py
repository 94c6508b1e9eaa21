"""Write the value of a record for kcat: Confluent's wire format, by the newest schema that the registry has.

python deploy/agency/encode.py http://127.0.0.1:8081 event.json event.avro

A closed registry wants your agency's token, in the environment as TOKEN.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx

from hub.avro.codec import Invalid, encode, from_json


def main() -> int:
    if len(sys.argv) != 4:
        return stop("usage: python encode.py REGISTRY EVENT.json EVENT.avro")
    registry, source, target = sys.argv[1:]
    try:
        event = json.loads(Path(source).read_text(encoding="utf-8"))
        id, schema = newest(registry, event["type"])
        header = b"\0" + id.to_bytes(4, "big")
        Path(target).write_bytes(encode(schema, from_json(schema, event["data"]), header))
    except Invalid as wrong:
        return stop(f"/data{wrong.pointer}: expected {wrong.expected}, found {wrong.found}")
    except (KeyError, TypeError):
        return stop(f"{source}: expected one CloudEvent as JSON, with `type` and `data`")
    except ValueError as error:
        return stop(f"{source}: {error}")
    except (OSError, LookupError, httpx.HTTPError, httpx.InvalidURL) as error:
        return stop(str(error))
    return 0


def newest(registry: str, subject: str) -> tuple[int, Any]:
    """Id and schema of an event type. Raises `LookupError` with the registry's word."""
    token = os.environ.get("TOKEN", "").strip()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"{registry.rstrip('/')}/subjects/{subject}/versions/latest", headers=headers)
    if not answer.is_success:
        raise LookupError(f"the registry answered {answer.status_code}: {answer.text}")
    found = answer.json()
    return found["id"], json.loads(found["schema"])


def stop(why: str) -> int:
    print(why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
