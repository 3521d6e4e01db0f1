"""Requests through a whole drover: what a client may send in many spellings, and the very bytes
that an instance gets of it."""

from __future__ import annotations

import random
import socket

from cases import BODIES, FIELDS, SEED, framed
from fleet import CHAT_MODEL, Drover
from readers import Said, ask, build_dir
from scripted import ScriptedInstance, document, sends, whole

REQUESTS = 200
PATHS = [b"/api/chat", b"/api/generate", b"/api/embed", b"/v1/chat/completions", b"/v1/messages"]


def request(number: int, chance: random.Random) -> tuple[bytes, bytes]:
    """One accepted request for a model, and its body."""
    spare = chance.choice(BODIES).decode().replace('"', "'").replace("\r\n", "\\r\\n")
    body = (f'{{"stream":false,"model":"{CHAT_MODEL}","prompt":"{spare}",'
            f'"messages":[{{"role":"user","content":"{number}"}}]}}').encode()
    path = chance.choice(PATHS)
    target = chance.choice([path, path + b"?a=b", b"http://localhost" + path])
    framing, coded = [], b""
    while not framing:
        framing, coded = framed(body, b"1", chance)
    fields = [field for field in chance.sample(FIELDS, 4) if b"Connection" not in field]
    fields += [*framing, b"Host: localhost", b"X-Request-ID: n%d" % number,
               b"Connection: close, X-Hop", b"X-Hop: 1"]
    chance.shuffle(fields)
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", *fields, b"", coded]), body


def answer_to(port: int, message: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(message)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return answer


def forwarded() -> list[tuple[Said, bytes, bytes]]:
    """For each request: what our reader makes of the bytes that the instance got, the client's
    body, and those bytes."""
    chance = random.Random(SEED + 1)
    bodies, messages = [], []
    with ScriptedInstance(sends(whole(document("x")))) as instance:
        drover = Drover.in_front_of([instance.url])
        try:
            for number in range(REQUESTS):
                message, body = request(number, chance)
                answer = answer_to(drover.port, message)
                assert answer.startswith(b"HTTP/1.1 200"), (message, answer)
                got = instance.received[-1]
                bodies.append(body)
                messages.append(got.head + got.body)
        finally:
            drover.stop()
    said = ask([str(build_dir() / "read_messages")],
               [f"request {message.hex()}" for message in messages])
    for each in said:
        assert each["outcome"] == "complete", each
        names = [name.lower() for name, _ in each["fields"]]
        assert "x-hop" not in names and "connection" not in names, names
    return list(zip(said, bodies, messages, strict=True))
