"""What an instance may see of a client, and which clients may speak at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from asking import GENERATE, Conversation, Outcome, question, read_answer, request_bytes
from fleet import Drover
from scripted import Received, ScriptedInstance, document, sends, whole

SECRETS = ("Authorization: Bearer sk-secret", "X-Api-Key: sk-secret", "Cookie: session=secret",
           "Proxy-Authorization: Basic c2VjcmV0")
HOP_BY_HOP = ("Connection: keep-alive, X-Private", "Keep-Alive: timeout=5", "X-Private: yes",
              "TE: trailers", "Upgrade-Insecure-Requests: 1", "Proxy-Connection: keep-alive")
NEVER_UPSTREAM = ("authorization", "x-api-key", "cookie", "proxy-authorization", "origin",
                  "keep-alive", "te", "proxy-connection", "x-private", "upgrade", "trailer",
                  "expect")


@pytest.fixture(scope="module")
def instance() -> Iterator[ScriptedInstance]:
    with ScriptedInstance(sends(whole(document("hello")))) as instance:
        yield instance


@pytest.fixture(scope="module")
def drover(instance: ScriptedInstance) -> Iterator[Drover]:
    drover = Drover.in_front_of([instance.url])
    yield drover
    drover.stop()


def post(drover: Drover, *fields: str, host: str | None = None) -> Outcome:
    async def exchange() -> Outcome:
        conversation = await Conversation.open(drover.port)
        body = question(GENERATE, "hi", stream=False)
        raw = request_bytes(drover.port, "POST", "/api/generate", body, fields)
        if host is not None:
            raw = raw.replace(f"Host: 127.0.0.1:{drover.port}".encode(), f"Host: {host}".encode())
        await conversation.send(raw)
        try:
            return await read_answer(conversation, GENERATE, False)
        finally:
            await conversation.close()

    return asyncio.run(exchange())


def seen(drover: Drover, instance: ScriptedInstance, *fields: str) -> Received:
    instance.received.clear()
    assert post(drover, *fields).complete
    return instance.received[0]


def test_an_instance_sees_its_own_address_as_host(drover: Drover,
                                                  instance: ScriptedInstance) -> None:
    assert seen(drover, instance).fields["host"] == f"127.0.0.1:{instance.port}"


def test_an_instance_sees_no_credentials_and_no_hop_by_hop_fields(
        drover: Drover, instance: ScriptedInstance) -> None:
    request = seen(drover, instance, *SECRETS, *HOP_BY_HOP, "Origin: http://localhost:3000")
    assert not [name for name in NEVER_UPSTREAM if name in request.fields]
    assert b"secret" not in request.head


def test_an_instance_gets_the_body_byte_for_byte(drover: Drover,
                                                 instance: ScriptedInstance) -> None:
    request = seen(drover, instance)
    assert request.body == question(GENERATE, "hi", stream=False)
    assert "transfer-encoding" not in request.fields


def test_request_framing_cannot_be_smuggled_through(drover: Drover,
                                                    instance: ScriptedInstance) -> None:
    instance.received.clear()
    outcome = post(drover, "Transfer-Encoding: chunked")  # beside its Content-Length
    assert outcome.status == 400
    assert not instance.received


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example"])
def test_a_foreign_host_is_refused(drover: Drover, instance: ScriptedInstance,
                                   host: str) -> None:
    instance.received.clear()
    assert post(drover, host=host).status in (403, 421)
    assert not instance.received


@pytest.mark.parametrize("host", ["localhost", "ollama.localhost:11434", "gpu.local",
                                  "host.docker.internal:11434", "192.168.1.7", "[::1]:11434"])
def test_the_names_that_ollama_allows_are_allowed(drover: Drover, host: str) -> None:
    assert post(drover, host=host).complete


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_a_foreign_origin_is_refused(drover: Drover, instance: ScriptedInstance,
                                     origin: str) -> None:
    instance.received.clear()
    assert post(drover, f"Origin: {origin}").status == 403
    assert not instance.received


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "app://obsidian",
                                    "vscode-webview://abc"])
def test_the_origins_that_ollama_allows_are_allowed(drover: Drover, origin: str) -> None:
    assert post(drover, f"Origin: {origin}").complete
