"""What the gateway is measured beside: an endpoint that takes CloudEvents apart and produces each to Kafka, no more.

    python bare.py BOOTSTRAP PORT

The same server, loop, JSON parser and kind of producer as the gateway's; nobody is asked who he is, nothing is checked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import jiter
import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer

TOPIC = "bare"
ANSWER = {"type": "http.response.body", "body": b"{}"}
START = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]}


class Bare:
    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        if body[:1] == b"[":
            kept = [await self._send(event, json.dumps(event).encode()) for event in jiter.from_json(body)]
            await asyncio.gather(*kept)
        else:
            await (await self._send(jiter.from_json(body), body))
        await send(START)
        await send(ANSWER)

    async def _send(self, event: Any, value: bytes) -> Any:
        return await self._producer.send(TOPIC, value, key=event["data"]["fin"].encode())


async def main(bootstrap: str, port: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", linger_ms=0, max_batch_size=1 << 20
    )
    await producer.start()
    config = uvicorn.Config(Bare(producer), port=port, http="httptools", lifespan="off", log_level="error", ws="none")
    await uvicorn.Server(config).serve()
    await producer.stop()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
