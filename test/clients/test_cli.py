"""What each command of Ollama's CLI sends, byte for byte, through drover to three stores.

The requests are written as Go's client writes them: the CLI's JSON has the members of its structs,
empty ones included, and files travel in chunks without a length.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from fleet import CHAT_MODEL, Fleet, binary, wait_until

AGENT = "ollama/0.32.15 (amd64 linux) Go/go1.24.1"
SUCCESS = {"status": "success"}


class Cli:
    """One command: a connection that is kept, as Go keeps it."""

    def __init__(self, fleet: Fleet) -> None:
        self.port = fleet.drover.port
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, method: str, path: str, body: bytes | None = None, accept: str = "json",
             chunks: list[bytes] | None = None) -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUser-Agent: {AGENT}\r\n"
        if chunks is not None:
            head += "Transfer-Encoding: chunked\r\n"
        elif body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        head += f"Accept: application/{accept}\r\n"
        if method != "HEAD":
            head += "Content-Type: application/json\r\n"
        head += "Accept-Encoding: gzip\r\n\r\n"
        text = head.encode() + (body or b"")
        for chunk in [*(chunks or []), b""] if chunks is not None else []:
            text += b"%x\r\n%s\r\n" % (len(chunk), chunk)
        self.socket.sendall(text)
        answer = http.client.HTTPResponse(self.socket, method=method)
        answer.begin()
        return answer.status, answer.read()

    def ask(self, path: str, value: Any, method: str = "POST") -> tuple[int, bytes]:
        return self.send(method, path, compact(value))

    def stream(self, path: str, value: Any) -> list[dict[str, Any]]:
        status, body = self.send("POST", path, compact(value), accept="x-ndjson")
        assert status == 200, body
        return [json.loads(line) for line in body.splitlines()]

    def begin(self) -> None:
        """Every command asks first whether the server is there."""
        assert self.send("HEAD", "/") == (200, b"")

    def show(self, name: str) -> int:
        return self.ask("/api/show", {"model": "", "system": "", "template": "", "verbose": False,
                                      "options": None, "name": name})[0]

    def names(self, path: str = "/api/tags") -> list[str]:
        status, body = self.send("GET", path)
        assert status == 200
        return [model["name"] for model in json.loads(body)["models"]]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def transfer(name: str, **more: Any) -> dict[str, Any]:
    return {"model": "", "username": "", "password": "", "name": name, **more}


def unload(name: str) -> dict[str, Any]:
    return {"model": name, "prompt": "", "suffix": "", "system": "", "template": "",
            "options": None, "keep_alive": "0s"}


@pytest.fixture
def three() -> Iterator[Fleet]:
    with Fleet(instances=3, token_ms=1, load_ms=5) as fleet:
        yield fleet


@pytest.fixture
def cli(three: Fleet) -> Iterator[Cli]:
    command = Cli(three)
    command.begin()
    yield command
    command.socket.close()


def holders(fleet: Fleet, name: str) -> list[bool]:
    found = []
    for fake in fleet.fakes:
        direct = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
        direct.request("GET", "/api/tags")
        found.append(name in [m["name"] for m in json.loads(direct.getresponse().read())["models"]])
        direct.close()
    return found


def test_list(cli: Cli) -> None:
    assert CHAT_MODEL in cli.names()


def test_pull_reaches_every_store_and_list_knows_it_at_once(three: Fleet, cli: Cli) -> None:
    lines = cli.stream("/api/pull", transfer("qwen3:4b"))
    assert lines[0] == {"status": "pulling manifest"} and lines[-1] == SUCCESS
    assert lines.count(SUCCESS) == 1
    parts = [line for line in lines if "digest" in line]
    done = [line.get("completed", 0) for line in parts]
    assert done == sorted(done) and done[-1] == parts[-1]["total"]
    assert "qwen3:4b" in cli.names()
    assert holders(three, "qwen3:4b") == [True] * 3


def test_run_pulls_what_is_missing_then_loads_and_chats(cli: Cli) -> None:
    assert cli.show("phi4") == 404
    assert cli.stream("/api/pull", transfer("phi4"))[-1] == SUCCESS
    assert cli.show("phi4") == 200
    load = cli.stream("/api/generate", {"model": "phi4", "prompt": "", "suffix": "", "system": "",
                                        "template": "", "options": None})
    assert len(load) == 1 and load[0]["done_reason"] == "load"
    answer = cli.stream("/api/chat", {"model": "phi4", "messages": [
        {"role": "user", "content": "echo: one two"}], "format": "", "options": {}})
    assert "".join(line["message"]["content"] for line in answer).split() == ["one", "two"]
    assert answer[-1]["done"] is True
    wait_until(lambda: "phi4:latest" in cli.names("/api/ps"), "ps shows it")


def test_stop_takes_it_out_of_every_instance(three: Fleet, cli: Cli) -> None:
    for fake in three.fakes:
        direct = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
        direct.request("POST", "/api/generate", compact({"model": CHAT_MODEL, "stream": False,
                                                         "prompt": "echo: x"}))
        assert direct.getresponse().status == 200
        direct.close()
    wait_until(lambda: cli.names("/api/ps") == [CHAT_MODEL] * 3, "ps shows all three")
    assert cli.show(CHAT_MODEL) == 200
    assert cli.stream("/api/generate", unload(CHAT_MODEL))[-1]["done_reason"] == "unload"
    assert cli.names("/api/ps") == []


def test_show(cli: Cli) -> None:
    assert cli.show(CHAT_MODEL) == 200
    assert cli.show("nosuch") == 404


def test_cp(three: Fleet, cli: Cli) -> None:
    copy = {"source": CHAT_MODEL, "destination": "twin"}
    assert cli.ask("/api/copy", copy) == (200, b"")
    assert "twin:latest" in cli.names() and holders(three, "twin:latest") == [True] * 3
    assert cli.ask("/api/copy", {"source": "nosuch", "destination": "x"})[0] == 404


def test_rm(three: Fleet, cli: Cli) -> None:
    assert cli.show(CHAT_MODEL) == 200
    assert cli.stream("/api/generate", unload(CHAT_MODEL))[-1]["done_reason"] == "unload"
    assert cli.ask("/api/delete", {"model": "", "name": CHAT_MODEL}, "DELETE") == (200, b"")
    assert CHAT_MODEL not in cli.names() and holders(three, CHAT_MODEL) == [False] * 3


def test_create_from_a_file(three: Fleet, cli: Cli) -> None:
    data = bytes(range(256)) * 4000
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    pieces = [data[i:i + 32768] for i in range(0, len(data), 32768)]
    assert cli.send("POST", f"/api/blobs/{digest}", chunks=pieces) == (201, b"")
    for fake in three.fakes:
        assert fake.state()["last"][f"/api/blobs/{digest}"]["body_bytes"] == len(data)
    lines = cli.stream("/api/create", {"model": "mine", "files": {"m.gguf": digest}, "name": ""})
    assert lines[-1] == SUCCESS and holders(three, "mine:latest") == [True] * 3
    # Once more: the blob is there, and HEAD says so.
    assert cli.send("HEAD", f"/api/blobs/{digest}")[0] == 200
    assert cli.send("POST", f"/api/blobs/{digest}", chunks=pieces)[0] == 200


def test_push_comes_from_one_store(three: Fleet, cli: Cli) -> None:
    lines = cli.stream("/api/push", transfer(CHAT_MODEL))
    assert lines[0] == {"status": "retrieving manifest"} and lines[-1] == SUCCESS
    assert sum("/api/push" in fake.state()["routes"] for fake in three.fakes) == 1


def test_a_full_disk_in_one_store_is_told_and_mended_by_the_same_command(
        three: Fleet, cli: Cli) -> None:
    three.fakes[1].fault("error_mid", match="/api/pull")
    lines = cli.stream("/api/pull", transfer("qwen3:4b"))
    assert SUCCESS not in lines
    error = lines[-1]["error"]
    assert f"store 127.0.0.1:{three.fakes[1].port}: " in error
    assert "no space left on device" in error and "done in " in error
    assert holders(three, "qwen3:4b") == [True, False, True]
    assert cli.stream("/api/pull", transfer("qwen3:4b"))[-1] == SUCCESS
    assert holders(three, "qwen3:4b") == [True] * 3


@pytest.mark.parametrize("path, value, method", [
    ("/api/delete", {"model": "", "name": CHAT_MODEL}, "DELETE"),
    ("/api/create", {"model": "mine", "from": CHAT_MODEL, "stream": False}, "POST"),
    ("/api/copy", {"source": CHAT_MODEL, "destination": "twin"}, "POST"),
])
def test_a_failing_disk_in_one_store_is_told_and_mended(
        three: Fleet, cli: Cli, path: str, value: dict[str, Any], method: str) -> None:
    three.fakes[2].fault("error500", match=path, text="input/output error")
    status, body = cli.ask(path, value, method)
    error = json.loads(body)["error"]
    assert status == 500 and "input/output error" in error and "done in " in error
    assert cli.ask(path, value, method)[0] == 200


def test_an_upload_of_64_mb_costs_no_memory(three: Fleet, cli: Cli) -> None:
    piece = b"\0" * 1_000_000
    digest = "sha256:" + hashlib.sha256(piece * 64).hexdigest()
    before = three.drover.resident_bytes()
    assert cli.send("POST", f"/api/blobs/{digest}", chunks=[piece] * 64)[0] == 201
    assert three.drover.resident_bytes() - before < 16_000_000


def test_a_failed_order_is_counted(three: Fleet, cli: Cli) -> None:
    cli.stream("/api/pull", transfer("missing"))
    assert three.drover.metric("drover_model_orders_total", verb="pull", result="failed") == 1


def test_drovers_own_verbs_do_the_same(three: Fleet, cli: Cli) -> None:
    def models(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [str(binary("drover")), "models", *words, "--admin",
             f"127.0.0.1:{three.drover.admin_port}"],
            capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    status, said = models("pull", "qwen3:4b")
    assert status == 0 and said.endswith("qwen3:4b: pulled\n"), said
    assert holders(three, "qwen3:4b") == [True] * 3
    assert models("load", "qwen3:4b") == (0, "qwen3:4b: loaded\n")
    wait_until(lambda: cli.names("/api/ps") == ["qwen3:4b"], "ps shows it")
    status, said = models("list")
    assert status == 0 and re.search(r"^qwen3:4b +\S+ +2.0 GB +127\.0\.0\.1:\d+$", said, re.M), said
    assert models("unload", "qwen3:4b") == (0, "qwen3:4b: unloaded\n")
    assert cli.names("/api/ps") == []
    assert models("rm", "qwen3:4b") == (0, "qwen3:4b: removed\n")
    assert holders(three, "qwen3:4b") == [False] * 3
    assert models("rm", "qwen3:4b") == (1, "drover: qwen3:4b: model 'qwen3:4b' not found\n")
