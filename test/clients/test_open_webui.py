"""What Open WebUI's backend sends to an Ollama, with its headers: from the model list to a chat, a
pull and a delete. It keeps no connection and forwards who its user is.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

from fleet import CHAT_MODEL, Fleet, wait_until

HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br",
    "User-Agent": "Python/3.11 aiohttp/3.12.15",
    "Content-Type": "application/json",
    "X-OpenWebUI-User-Name": "Ada%20L",
    "X-OpenWebUI-User-Id": "0b6c5d2e-6a01-4a0e-8a57-7f7a7d1f0c55",
    "X-OpenWebUI-User-Email": "ada@example.com",
    "X-OpenWebUI-User-Role": "admin",
}
NEW = "qwen3:4b"


def ask(fleet: Fleet, method: str, path: str, value: Any = None) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", fleet.drover.port, timeout=20)
    body = None if value is None else json.dumps(value)
    connection.request(method, path, body, HEADERS)
    answer = connection.getresponse()
    read = answer.status, answer.getheader("Content-Type", ""), answer.read()
    connection.close()
    return read


def names(fleet: Fleet) -> list[str]:
    status, _, body = ask(fleet, "GET", "/api/tags")
    assert status == 200
    return [model["model"] for model in json.loads(body)["models"]]


def test_it_looks_around_chats_pulls_and_deletes() -> None:
    with Fleet(instances=2, token_ms=1, load_ms=5) as fleet:
        assert CHAT_MODEL in names(fleet)
        assert ask(fleet, "GET", "/api/ps")[0] == 200
        status, _, body = ask(fleet, "GET", "/api/version")
        assert status == 200 and json.loads(body)["version"]
        status, _, body = ask(fleet, "POST", "/api/show", {"model": CHAT_MODEL})
        assert status == 200 and "capabilities" in json.loads(body)

        status, kind, body = ask(fleet, "POST", "/api/chat", {
            "model": CHAT_MODEL, "messages": [{"role": "user", "content": "Why is the sky blue?"}],
            "options": {"num_ctx": 4096, "temperature": 0.7}, "stream": True,
            "keep_alive": None, "format": None})
        records = [json.loads(line) for line in body.splitlines()]
        assert status == 200 and kind == "application/x-ndjson"
        assert records[-1]["done"] and "".join(r["message"]["content"] for r in records)

        status, kind, body = ask(fleet, "POST", "/api/pull", {"model": NEW})
        lines = [json.loads(line) for line in body.splitlines()]
        assert status == 200 and kind == "application/x-ndjson"
        assert lines[-1] == {"status": "success"}
        assert NEW in names(fleet)
        status, _, body = ask(fleet, "DELETE", "/api/delete", {"model": NEW})
        assert (status, body) == (200, b"")
        wait_until(lambda: NEW not in names(fleet), "it is deleted")
