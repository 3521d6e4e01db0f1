"""The messages that every reader is asked about: the corpora of the fuzz targets, legal messages
from a small grammar, and broken copies of both. The same on every machine and in every run, unless
DROVER_SEED asks for others."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "fuzz" / "corpus"
USUAL_SEED = 20251125
SEED = int(os.environ.get("DROVER_SEED", USUAL_SEED))
GENERATED = {"request": 1500, "response": 900}
BROKEN_PER_SEED = 1
LONGEST = 16 * 1024  # larger inputs say nothing new and are read byte by byte

METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"]
TARGETS = [b"/", b"/api/chat", b"/api/tags?x=1", b"/v1/models/llama3%3A8b", b"/a/%7Eb;c=d/",
           b"http://localhost:11434/api/chat", b"http://[::1]/x?y", b"/" + b"a" * 300,
           b"/?q=a/b?c"]
HOSTS = [b"localhost", b"127.0.0.1:11434", b"[::1]:80", b"Example.COM", b"a.example:1"]
FIELDS = [b"Accept: */*", b"accept:\t*/*", b"X-Empty:", b"X-Obs: \x80\xfe", b"x-Case: A,  b ,C",
          b"User-Agent: a/1 (b; c)", b"X!#$%&'*+-.^`|~: y", b"Content-Type: application/json",
          b"Cookie: a=b; c=d", b"TE: trailers", b"X-Long: " + b"v" * 500, b"Cache-Control: a,,b",
          b"Connection: keep-alive", b"Connection: close, x-a", b"X_Under: dropped"]
BODIES = [b"", b"x", b'{"model":"m"}', b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"z" * 700]
TRAILERS = [b"", b"", b"X-T: 1\r\n", b"Content-Length: 9\r\n", b"A:\r\nB: \x80\r\n"]
EXTENSIONS = [b"", b"", b"", b";a", b";a=b", b';a="b c"', b";a;b=1"]
STATUSES = [b"200 OK", b"201 ", b"204 No Content", b"304 Not Modified", b"404 Not \xc3\xa9",
            b"500 Internal Server Error", b"100 Continue", b"599 x"]
# What breaks messages, put in anywhere.
PIECES = [b"\r", b"\n", b"\r\n", b"\x00", b"\t", b" ", b":", b",", b";", b"0", b"_", b"\x7f", b"\x80",
          b"chunked", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n",
          b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Length: +5\r\n", b" folded\r\n",
          b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0",
          b"http://a/", b"%zz", b"#f", b"\\", b"FFFFFFFFFFFFFFFFF"]


@dataclass(frozen=True)
class Case:
    kind: str  # "request", "response", "response-to-head"
    name: str  # where it comes from
    message: bytes

    def line(self) -> str:
        return f"{self.kind} {self.message.hex()}"


def all_cases() -> list[Case]:
    chance = random.Random(SEED)
    cases = corpus_cases()
    for kind, count in GENERATED.items():
        for number in range(count):
            cases.append(Case(kind, f"generated {number}", generated(kind, chance)))
    broken = [Case(case.kind, f"{case.name}, broken", broken_copy(case.message, chance))
              for case in cases for _ in range(BROKEN_PER_SEED)]
    every = cases + broken
    every += [Case("response-to-head", case.name, case.message)
              for case in every if case.kind == "response"][::3]
    return [case for case in every if len(case.message) <= LONGEST]


def corpus_cases() -> list[Case]:
    cases = []
    for folder, kind in (("http_request", "request"), ("http_response", "response"),
                         ("http_body", "request")):
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        front = head if folder == "http_body" else b""
        for file in sorted((CORPUS / folder).iterdir()):
            cases.append(Case(kind, f"{folder}/{file.name}", front + file.read_bytes()))
    return cases


def generated(kind: str, chance: random.Random) -> bytes:
    """A legal message, often followed by the beginning of another."""
    minor = chance.choice([b"1", b"1", b"1", b"0"])
    fields = chance.sample(FIELDS, chance.randint(0, 5))
    if kind == "request":
        first = b" ".join([chance.choice(METHODS), chance.choice(TARGETS), b"HTTP/1." + minor])
        authority = chance.choice(HOSTS)
        if b"http://" in first:
            authority = first.split(b"//")[1].split(b"/")[0]
        fields.append(chance.choice([b"Host: ", b"host:", b"HOST:  "]) + authority)
    else:
        first = b"HTTP/1." + minor + b" " + chance.choice(STATUSES)
    framing, body = framed(chance.choice(BODIES), minor, chance)
    fields += framing
    chance.shuffle(fields)
    after = chance.choice([b"", b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200"])
    blank = b"\r\n" if kind == "request" and chance.random() < 0.05 else b""
    return blank + b"\r\n".join([first, *fields, b"", b""]) + body + after


def framed(body: bytes, minor: bytes, chance: random.Random) -> tuple[list[bytes], bytes]:
    how = chance.choice(["none", "length", "length", "chunked", "chunked"])
    if how == "none":
        return [], b""
    if how == "length" or minor == b"0":
        return [b"Content-Length: %d" % len(body)], body
    chunks = b""
    for at in range(0, len(body), 300):
        part = body[at:at + 300]
        size = chance.choice([b"%x", b"%X", b"00%x"]) % len(part)
        chunks += size + chance.choice(EXTENSIONS) + b"\r\n" + part + b"\r\n"
    last = chance.choice([b"0", b"000"]) + chance.choice(EXTENSIONS)
    chunks += last + b"\r\n" + chance.choice(TRAILERS) + b"\r\n"
    return [chance.choice([b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked"])], chunks


def broken_copy(message: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 2)):
        at = chance.randint(0, min(len(message), 400))
        how = chance.randint(0, 3)
        if how == 0:
            message = message[:at] + chance.choice(PIECES) + message[at:]
        elif how == 1:
            message = message[:at] + message[at + chance.randint(1, 3):]
        elif how == 2:
            message = message[:at] + bytes([chance.randrange(256)]) + message[at + 1:]
        else:  # at the beginning of a line, where a whole one fits
            line = message.find(b"\r\n", at) + 2
            message = message[:line] + chance.choice(PIECES) + message[line:]
    return message
