"""Legal requests and answers that look wrong: each is served, and nothing in it is changed.

A row says what the client sends, what must reach the instance, and what must come back. Behind it
the connection is asked for something plain, which shows that no byte was left over or missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum

from machine import BODY, DOCUMENT, MODEL, whole

GENERATE = "/api/generate"
HOST = b"Host: localhost\r\n"
HEX = b"%x" % len(BODY)
SIZED = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ALIVE = b"Ollama is running"
# Fields that end at drover, whatever is in a row.
NEVER = ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
         "upgrade", "http2-settings", "expect", "authorization", "cookie", "x-api-key", "origin",
         "referer", "forwarded", "x-real-ip", "accept-encoding", "proxy-authorization")


class How(Enum):
    WHOLE = "at once"
    BYTES = "byte by byte"
    EVERY_CUT = "cut at every offset"  # of the request: a connection for each
    ANSWER_CUT = "answer cut at every offset"
    ANSWER_BYTES = "answer byte by byte"


@dataclass(frozen=True)
class Up:
    """One request as the instance must see it."""

    body: bytes = BODY
    path: str = GENERATE
    method: str = "POST"
    fields: tuple[tuple[str, str], ...] = ()  # all values of each name, joined by " | "
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Back:
    """One answer as the client must see it; a body of None is not looked at."""

    status: int = 200
    body: bytes | None = DOCUMENT
    head_only: bool = False
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Oddity:
    name: str
    raw: bytes
    up: tuple[Up, ...] = (Up(),)
    back: tuple[Back, ...] = (Back(),)
    how: How = How.WHOLE
    closes: bool = False
    reply: bytes = field(default_factory=lambda: whole(DOCUMENT))
    reply_closes: bool = False


def post(fields: bytes = b"", body: bytes = BODY, path: bytes = b"/api/generate",
         host: bytes = HOST) -> bytes:
    return (b"POST " + path + b" HTTP/1.1\r\n" + host + b"Content-Length: %d\r\n" % len(body)
            + fields + b"\r\n" + body)


def coded(coded_body: bytes, fields: bytes = b"") -> bytes:
    return b"POST /api/generate HTTP/1.1\r\n" + HOST + CHUNKED + fields + b"\r\n" + coded_body


def chunk(data: bytes = BODY, size: bytes = b"", extension: bytes = b"") -> bytes:
    return (size or b"%x" % len(data)) + extension + b"\r\n" + data + b"\r\n"


def get(path: bytes = b"/", fields: bytes = b"", method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n"


END = b"0\r\n\r\n"


def oddities() -> list[Oddity]:
    return [*_chunks(), *_lengths(), *_delivery(), *_continues(), *_fields(), *_hops(), *_hosts(),
            *_targets(), *_methods(), *_versions(), *_json(), *_forms(), *_answers()]


def _chunks() -> list[Oddity]:
    cut = BODY.index(b"model") + 2
    loaded = (b"Content-Length: 7\r\nTransfer-Encoding: gzip\r\nHost: evil.example\r\n"
              b"Authorization: Bearer x\r\nContent-Type: text/html\r\n")
    padded = BODY + b" " * (0xabc - len(BODY))
    rows = {
        "one chunk": chunk() + END,
        "two chunks, cut within a key": chunk(BODY[:cut]) + chunk(BODY[cut:]) + END,
        "chunks of one byte": b"".join(chunk(bytes([c])) for c in BODY) + END,
        "leading zeros in a chunk size": chunk(size=HEX.rjust(16, b"0")) + END,
        "several zeros in the last chunk": chunk() + b"0000\r\n\r\n",
        "a chunk extension without value": chunk(extension=b";last") + END,
        "a chunk extension with a value": chunk(extension=b";a=b") + END,
        "a chunk extension with a quoted value": chunk(extension=b';a="b;c, \\"d\\""') + END,
        "several chunk extensions": chunk(extension=b";a;b=c;d") + END,
        "spaces and a tab in a chunk extension": chunk(extension=b"; a =\tb ") + END,
        "obs-text in a chunk extension": chunk(extension=b';a="\xe9\xff"') + END,
        "an extension of the last chunk": chunk() + b"0;signature=abc\r\n\r\n",
        "a chunk extension of 4 KiB": chunk(extension=b";" + b"x" * 4095) + END,
        "a trailer": chunk() + b"0\r\nX-Checksum: abc\r\n\r\n",
        "several trailers, one empty": chunk() + b"0\r\nA: b\r\nEmpty:\r\nA: c\r\n\r\n",
        "trailers of 8 KB": chunk() + b"0\r\nA: " + b"x" * 8000 + b"\r\n\r\n",
        "trailers that would change the request": chunk() + b"0\r\n" + loaded + b"\r\n",
    }
    upper = chunk(padded, size=b"ABC") + END
    lower = chunk(padded, size=b"aBc") + END
    announced = coded(chunk() + b"0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum\r\n")
    lacks = ("x-checksum", "a", "empty", "content-type", "x-sum")
    return [
        *(Oddity(name, coded(body), (Up(lacks=lacks),)) for name, body in rows.items()),
        Oddity("a chunk size in upper case", coded(upper), (Up(padded),)),
        Oddity("a chunk size in mixed case", coded(lower), (Up(padded),)),
        Oddity("a trailer that was announced", announced, (Up(lacks=lacks),)),
        Oddity("Chunked with a capital and white space around it",
               coded(chunk() + END).replace(b": chunked\r\n", b": \t Chunked \t\r\n")),
        Oddity("the name of Transfer-Encoding in upper case",
               coded(chunk() + END).replace(b"Transfer-Encoding", b"TRANSFER-ENCODING")),
    ]


def _lengths() -> list[Oddity]:
    def length(value: bytes) -> bytes:
        return (b"POST /api/generate HTTP/1.1\r\n" + HOST + b"Content-Length:" + value
                + b"\r\n\r\n" + BODY)

    digits = b"%d" % len(BODY)
    large = BODY[:-1] + b', "system": "' + b"s" * 3_000_000 + b'"}'
    return [
        Oddity("a length with leading zeros", length(b" 000" + digits)),
        Oddity("a length of 19 digits", length(b" " + digits.rjust(19, b"0"))),
        Oddity("a length without a space before it", length(digits)),
        Oddity("a length with white space around it", length(b" \t " + digits + b" \t ")),
        Oddity("a body of 3 MB, kept in a file", post(body=large), (Up(large),)),
        Oddity("a GET with a length of zero", get(fields=b"Content-Length: 0\r\n"), (),
               (Back(body=ALIVE),)),
    ]


def _delivery() -> list[Oddity]:
    trailed = coded(chunk(BODY[:9], extension=b";a=b") + chunk(BODY[9:]) + b"0\r\nT: u\r\n\r\n",
                    b"X: y\r\n")
    mixed = get() + post() + get(b"/nowhere") + get(method=b"HEAD") + coded(chunk() + END) + get()
    replies = (Back(body=ALIVE), Back(), Back(404, None), Back(body=b"", head_only=True), Back(),
               Back(body=ALIVE))
    return [
        Oddity("a request byte by byte", post(), how=How.BYTES),
        Oddity("a chunked request byte by byte", trailed, how=How.BYTES),
        Oddity("a request cut at every offset", post(b"X: y\r\n"), how=How.EVERY_CUT),
        Oddity("a chunked request cut at every offset", trailed, how=How.EVERY_CUT),
        Oddity("an empty line before the request", b"\r\n" + post()),
        Oddity("an empty line before the request, byte by byte", b"\r\n" + post(), how=How.BYTES),
        Oddity("an empty line behind each body, as very old clients send it",
               post() + b"\r\n" + post() + b"\r\n" + get(), (Up(), Up()),
               (Back(), Back(), Back(body=ALIVE))),
        Oddity("three requests at once", post() * 3, (Up(),) * 3, (Back(),) * 3),
        Oddity("a hundred requests at once", get() * 100, (), (Back(body=ALIVE),) * 100),
        Oddity("GET, POST, an unknown path, HEAD, chunked and GET at once", mixed, (Up(), Up()),
               replies),
        Oddity("two requests at once, cut at every offset", get() + post(), (Up(),),
               (Back(body=ALIVE), Back()), How.EVERY_CUT),
    ]


def _continues() -> list[Oddity]:
    rows = {
        "Expect: 100-continue, the body sent along": b"Expect: 100-continue\r\n",
        "Expect in another case": b"eXPECT: 100-Continue\r\n",
    }
    return [
        *(Oddity(name, post(value)) for name, value in rows.items()),
        Oddity("Expect: 100-continue, byte by byte", post(b"Expect: 100-continue\r\n"),
               how=How.BYTES),
        Oddity("Expect: 100-continue with chunks",
               coded(chunk() + END, b"Expect: 100-continue\r\n"), how=How.BYTES),
        Oddity("Expect: 100-continue where no body comes", get(fields=b"Expect: 100-continue\r\n"),
               (), (Back(body=ALIVE),)),
    ]


def _fields() -> list[Oddity]:
    def kept(name: str, lines: bytes, *fields: tuple[str, str],
             lacks: tuple[str, ...] = ()) -> Oddity:
        return Oddity(name, post(lines), (Up(fields=fields, lacks=lacks),))

    tokens = "!#$%&'*+-.^`|~0aZ"
    head = 64 * 1024 - len(post()) + len(BODY) - len(b"X-Long: \r\n")
    plain = post()
    return [
        kept("obs-text in a value", b"X-Name: caf\xe9 \x80\xff\r\n",
             ("x-name", "caf\xe9 \x80\xff")),
        kept("UTF-8 in a value", "X-Name: naïve 🙂\r\n".encode(),
             ("x-name", "naïve 🙂".encode().decode("latin-1"))),
        kept("a tab within a value", b"X-Tab: a\tb\r\n", ("x-tab", "a\tb")),
        kept("several spaces within a value", b"X-Gap: a   b\r\n", ("x-gap", "a   b")),
        kept("an empty value", b"X-Empty:\r\nX-Next: y\r\n", ("x-empty", ""), ("x-next", "y")),
        kept("a value of white space", b"X-Empty: \t  \r\n", ("x-empty", "")),
        kept("no space behind a colon", b"X-Near:y\r\n", ("x-near", "y")),
        kept("white space around a value", b"X-Far: \t\t  y \t \r\n", ("x-far", "y")),
        kept("colons in a value", b"X-Time: 12:00:00: now\r\n", ("x-time", "12:00:00: now")),
        kept("quotes, commas and comments in a value", b'X-List: "a, b", (c), \\d;e="f"\r\n',
             ("x-list", '"a, b", (c), \\d;e="f"')),
        kept("every character of a name", tokens.encode() + b": y\r\n", (tokens.lower(), "y")),
        kept("a name of one character", b"x: y\r\n", ("x", "y")),
        kept("a name of digits", b"1: y\r\n", ("1", "y")),
        kept("a field given three times, in order", b"X-A: 1\r\nX-A: 2\r\nx-a: 3\r\n",
             ("x-a", "1 | 2 | 3")),
        kept("Accept: */*", b"Accept: */*\r\n", ("accept", "*/*")),
        kept("a Content-Type of another kind", b"Content-Type: text/plain\r\n",
             ("content-type", "text/plain")),
        kept("a Content-Type with parameters",
             b'Content-Type: application/json; charset="utf-8"\r\n',
             ("content-type", 'application/json; charset="utf-8"')),
        kept("Content-Encoding: identity", b"Content-Encoding: identity\r\n",
             lacks=("content-encoding",)),
        kept("Accept-Encoding, which is not passed on", b"Accept-Encoding: gzip, br\r\n"),
        kept("a Range, which means nothing here", b"Range: bytes=0-3\r\n", ("range", "bytes=0-3")),
        kept("names with an underscore, which are dropped",
             b"X_A: 1\r\nContent_Length: 9\r\nX: y\r\n", ("x", "y"),
             lacks=("x_a", "content_length")),
        kept("a hundred fields", b"".join(b"X-%d: y\r\n" % i for i in range(98)), ("x-97", "y")),
        kept("a value of 60 kB", b"X-Long: " + b"v" * 60_000 + b"\r\n", ("x-long", "v" * 60_000)),
        kept("a head of exactly 64 KiB", b"X-Long: " + b"v" * head + b"\r\n",
             ("x-long", "v" * head)),
        kept("a name of 4 kB", b"N" * 4000 + b": y\r\n", ("n" * 4000, "y")),
        Oddity("names in upper case", plain.replace(b"Host", b"HOST").replace(
            b"Content-Length", b"CONTENT-LENGTH")),
        Oddity("names in lower case", plain.replace(b"Host", b"host").replace(
            b"Content-Length", b"content-length")),
        Oddity("names in odd case", plain.replace(b"Host", b"hOsT").replace(
            b"Content-Length", b"cOnTeNt-LeNgTh")),
        Oddity("Host as the last field", post(b"X: y\r\n" + HOST, host=b""),
               (Up(fields=(("x", "y"),)),)),
    ]


def _hops() -> list[Oddity]:
    def dropped(name: str, lines: bytes, *lacks: str, closes: bool = False) -> Oddity:
        return Oddity(name, post(lines + b"X-Kept: y\r\n"),
                      (Up(fields=(("x-kept", "y"),), lacks=lacks),), closes=closes)

    return [
        dropped("Connection: keep-alive", b"Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n"),
        dropped("a list in Connection", b"Connection: keep-alive , X-Hop,\tx-two\r\nX-Hop: 1\r\n"
                b"x-TWO: 2\r\n", "x-hop", "x-two"),
        dropped("empty members in Connection", b"Connection: ,, x-hop ,\r\nX-Hop: 1\r\n", "x-hop"),
        dropped("two Connection fields", b"Connection: x-one\r\nX-One: 1\r\nConnection: X-Two\r\n"
                b"X-Two: 2\r\n", "x-one", "x-two"),
        dropped("Connection: close", b"Connection: close\r\n", closes=True),
        dropped("Connection: CLOSE within a list", b"Connection: x-hop, CLOSE\r\n", closes=True),
        dropped("Connection: authorization",
                b"Connection: authorization\r\nAuthorization: Bearer x\r\n"),
        dropped("Upgrade to h2c", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        dropped("Upgrade to a WebSocket", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\n"),
        dropped("Upgrade that Connection does not name", b"Upgrade: HTTP/3.0\r\n"),
        dropped("TE: trailers", b"TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n"),
        dropped("Proxy-Connection and Proxy-Authorization", b"Proxy-Connection: keep-alive\r\n"
                b"Proxy-Authorization: Basic eA==\r\n"),
        dropped("credentials and cookies", b"Authorization: Bearer x\r\nX-Api-Key: x\r\n"
                b"Cookie: a=b\r\nCookie: c=d\r\n"),
        dropped("what says where a request came from", b"X-Forwarded-For: 192.0.2.1\r\n"
                b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"
                b"X-Forwarded-Port: 443\r\nX-FORWARDED-PREFIX: /x\r\nForwarded: for=192.0.2.1\r\n"
                b"X-Real-IP: 192.0.2.1\r\n", "x-forwarded-for", "x-forwarded-host",
                "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix"),
        Oddity("a request ID of the client's", post(b"X-Request-ID: mine-1\r\n"),
               (Up(fields=(("x-request-id", "mine-1"),)),),
               (Back(fields=(("x-request-id", "mine-1"),)),)),
        Oddity("an Origin on this machine", post(b"Origin: http://localhost:3000\r\n"),
               (Up(lacks=("origin",)),),
               (Back(fields=(("access-control-allow-origin", "http://localhost:3000"),)),)),
    ]


def _hosts() -> list[Oddity]:
    rows = {
        "a Host in upper case": b"LOCALHOST", "a Host with a port": b"localhost:11434",
        "a Host with an empty port": b"localhost:", "an IPv4 address": b"127.0.0.1:80",
        "an IPv6 literal": b"[::1]", "an IPv6 literal with a port": b"[::1]:11434",
        "an IPv6 literal written out": b"[0:0:0:0:0:0:0:1]:1",
        "an IPv4 address in IPv6": b"[::ffff:127.0.0.1]:11434",
        "a name below .localhost": b"my-host.localhost", "a Host of digits": b"1.local",
        "a port of leading zeros": b"localhost:00080",
        "a name of Docker's": b"host.docker.internal",
    }
    return [
        *(Oddity(name, post(host=b"Host: " + value + b"\r\n")) for name, value in rows.items()),
        Oddity("white space around a Host", post(host=b"Host: \t localhost \t\r\n")),
        Oddity("a Host without a space before it", post(host=b"Host:localhost\r\n")),
    ]


def _targets() -> list[Oddity]:
    long_target = GENERATE.encode() + b"?" + b"q" * (8192 - len(GENERATE) - 1)
    rows = {
        "a query, which is not passed on": b"/api/generate?a=b&c=d/e?f",
        "an empty query": b"/api/generate?",
        "escapes in a query": b"/api/generate?a=%20%C3%A9%2F%00",
        "a query of every allowed character": b"/api/generate?-._~!$&'()*+,;=:@/?",
        "a target of exactly 8 KiB": long_target,
        "absolute form with our own authority": b"http://localhost/api/generate",
        "absolute form in upper case": b"HTTP://LOCALHOST/api/generate",
        "absolute form with the port that is meant": b"http://localhost:80/api/generate?x",
    }
    lookup = Up(b"", "/v1/models/m:latest", "GET")
    escaped = Up(b"", "/v1/models/%6D%3Alatest", "GET")
    return [
        *(Oddity(name, post(path=path)) for name, path in rows.items()),
        Oddity("absolute form with https", post(path=b"https://localhost/api/generate")),
        Oddity("absolute form with an IPv6 literal", post(
            path=b"http://[::1]:11434/api/generate", host=b"Host: [::1]:11434\r\n")),
        Oddity("absolute form without a path", get(b"http://localhost"), (), (Back(body=ALIVE),)),
        Oddity("a colon in a model's path", get(b"/v1/models/m:latest"), (lookup,)),
        Oddity("escapes that a model's path does not need", get(b"/v1/models/%6D%3Alatest"),
               (escaped,)),
    ]


def _methods() -> list[Oddity]:
    head = Back(body=b"", head_only=True, fields=(("content-length", str(len(ALIVE))),))
    body = b"Content-Length: 7\r\n"
    return [
        Oddity("HEAD", get(method=b"HEAD"), (), (head,)),
        Oddity("HEAD three times at once", get(method=b"HEAD") * 3, (), (head,) * 3),
        Oddity("HEAD of an unknown path", get(b"/nowhere", method=b"HEAD"), (),
               (Back(404, b"", head_only=True),)),
        Oddity("OPTIONS", get(b"/api/chat", method=b"OPTIONS"), (),
               (Back(204, b"", fields=(("allow", "GET, HEAD, POST, DELETE, OPTIONS"),)),)),
        Oddity("OPTIONS *", get(b"*", method=b"OPTIONS"), (),
               (Back(204, b"", fields=(("allow", "GET, HEAD, POST, DELETE, OPTIONS"),)),)),
        Oddity("OPTIONS with a body", get(b"/api/chat", body, b"OPTIONS") + b"nothing", (),
               (Back(204, b""),), closes=True),
        Oddity("GET with a body", get(fields=body) + b"nothing", (), (Back(body=ALIVE),),
               closes=True),
        Oddity("GET with a chunked body", get(fields=CHUNKED) + chunk(b"x") + END, (),
               (Back(body=ALIVE),), closes=True),
        Oddity("HEAD with a body", get(fields=body, method=b"HEAD") + b"nothing", (), (head,),
               closes=True),
        Oddity("DELETE with a body", get(b"/api/chat", body, b"DELETE") + b"nothing", (),
               (Back(405, None, fields=(("allow", "POST"),)),), closes=True),
        Oddity("DELETE without a body", get(b"/api/chat", method=b"DELETE"), (),
               (Back(405, None, fields=(("allow", "POST"),)),)),
        Oddity("an unknown method", get(b"/api/chat", method=b"PROPFIND"), (), (Back(405, None),)),
        Oddity("a method of odd characters", get(b"/", method=b"!#$%&'*+-.^_`|~"), (),
               (Back(405, None),)),
        Oddity("a method in lower case is another method", get(method=b"get"), (),
               (Back(405, None),)),
        Oddity("a lookup with a body, which goes nowhere",
               get(b"/v1/models/m:latest", body) + b"nothing",
               (Up(b"", "/v1/models/m:latest", "GET", lacks=("content-length",)),), closes=True),
    ]


def _versions() -> list[Oddity]:
    def old(raw: bytes) -> bytes:
        return raw.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n")

    stream = json.dumps({"model": MODEL, "prompt": "x"}).encode()
    keep = b"Connection: keep-alive\r\n"
    closed = Back(fields=(("connection", "close"),))
    return [
        Oddity("HTTP/1.0", old(post()), back=(closed,), closes=True),
        Oddity("HTTP/1.0 without Host", old(post(host=b"")), closes=True),
        Oddity("HTTP/1.0 with keep-alive", old(post(keep)),
               back=(Back(fields=(("connection", "keep-alive"),)),)),
        Oddity("two of HTTP/1.0 at once, kept alive", old(post(keep)) * 2, (Up(),) * 2,
               (Back(),) * 2),
        Oddity("a stream to HTTP/1.0 is bare and ends by the close", old(post(keep, stream)),
               (Up(stream),), (Back(body=STREAM, fields=(("transfer-encoding", ""),)),),
               closes=True, reply=STREAMED),
        Oddity("Expect from HTTP/1.0, which gets no 100",
               old(post(b"Expect: 100-continue\r\n")), closes=True),
        Oddity("HTTP/1.0 in absolute form without Host",
               old(post(path=b"http://localhost/api/generate", host=b"")), closes=True),
    ]


def _json() -> list[Oddity]:
    deep = "[" * 126 + "]" * 126
    other = '{"model": "evil", "stream": true, "a": {"model": "evil"}}'
    rows = {
        "model as the last key": f'{{"prompt": "x", "stream": false, "model": "{MODEL}"}}',
        "an escape in the model's name": r'{"model": "\u006d:l\u0061test", "stream": false}',
        "an escaped slash": rf'{{"model": "{MODEL}", "prompt": "a\/b", "stream": false}}',
        "every short escape":
            rf'{{"model": "{MODEL}", "prompt": "\"\\\/\b\f\n\r\t", "stream": false}}',
        "a surrogate pair": rf'{{"model": "{MODEL}", "prompt": "\ud83d\ude00", "stream": false}}',
        "half a surrogate pair in a prompt":
            rf'{{"model": "{MODEL}", "prompt": "\ud83d", "stream": false}}',
        "an escaped NUL in a prompt":
            rf'{{"model": "{MODEL}", "prompt": "\u0000", "stream": false}}',
        "raw characters of two, three and four bytes":
            f'{{"model": "{MODEL}", "prompt": "é\u2028🙂", "stream": false}}',
        "DEL in a string": f'{{"model": "{MODEL}", "prompt": "\x7f", "stream": false}}',
        "white space everywhere":
            f' \t\r\n{{ "model"\n:\t"{MODEL}" \r, "stream" : false\n}} \t\r\n',
        "no white space at all": f'{{"model":"{MODEL}","stream":false}}',
        "look-alikes within other values":
            f'{{"options": {{"model": 1}}, "tools": [{other}], "model": "{MODEL}", '
            '"stream": false}',
        "a look-alike within a string":
            rf'{{"prompt": "\"model\": \"evil\", {{", "model": "{MODEL}", "stream": false}}',
        "the same key at two depths":
            f'{{"a": {{"b": {{"a": {{}}}}}}, "b": [], "model": "{MODEL}", "stream": false}}',
        "a large whole number": f'{{"model": "{MODEL}", "x": {"9" * 300}, "stream": false}}',
        "numbers of every form":
            f'{{"model": "{MODEL}", "x": [0, -0, 1E5, 1.5e-10, -2.0E+3, 123], "stream": false}}',
        "a fraction of 1000 digits":
            f'{{"model": "{MODEL}", "x": 0.{"1" * 1000}, "stream": false}}',
        "empty containers":
            f'{{"model": "{MODEL}", "options": {{}}, "images": [], "stream": false}}',
        "null for what is optional":
            f'{{"model": "{MODEL}", "options": null, "format": null, "stream": false}}',
        "an empty key": f'{{"": 1, "model": "{MODEL}", "stream": false}}',
        "keys of no meaning":
            f'{{"é": 1, " model": 2, "model ": 3, "models": 4, "model": "{MODEL}", '
            '"stream": false}',
        "containers 127 deep": f'{{"model": "{MODEL}", "x": {deep}, "stream": false}}',
        "a string of 500 kB":
            f'{{"prompt": "{"p" * 500_000}", "model": "{MODEL}", "stream": false}}',
        "a key of 10 kB": f'{{"{"k" * 10_000}": 1, "model": "{MODEL}", "stream": false}}',
        "250 keys": "{" + "".join(f'"k{i}": {i}, ' for i in range(248))
                    + f'"model": "{MODEL}", "stream": false}}',
        "5000 keys in a value": '{"x": {' + ", ".join(f'"k{i}": {i}' for i in range(5000))
                                + f'}}, "model": "{MODEL}", "stream": false}}',
        "name in place of model": f'{{"name": "{MODEL}", "stream": false}}',
        "a model without its tag": '{"model": "m", "stream": false}',
        "an image in base64":
            f'{{"model": "{MODEL}", "images": ["{"iVBO+/Rw" * 999}=="], "stream": false}}',
    }
    # Known keys in another spelling are the only bytes of a body that drover ever changes, since
    # Ollama would take either spelling, and another reader only one.
    plain = f'{{"model": "{MODEL}", "stream": false}}'.encode()
    spelled = {
        "an escape in the key of the model": rf'{{"mod\u0065l": "{MODEL}", "stream": false}}',
        "the key of the model in upper case": f'{{"MODEL": "{MODEL}", "Stream": false}}',
    }
    pair = rows["a surrogate pair"].encode()
    escape = spelled["an escape in the key of the model"].encode()
    return [
        *(Oddity("JSON: " + name, post(body=text.encode()), (Up(text.encode()),))
          for name, text in rows.items()),
        *(Oddity("JSON: " + name, post(body=text.encode()), (Up(plain),))
          for name, text in spelled.items()),
        Oddity("JSON: an escaped key, byte by byte", post(body=escape), (Up(plain),),
               how=How.BYTES),
        Oddity("JSON: a surrogate pair, cut at every offset", post(body=pair), (Up(pair),),
               how=How.EVERY_CUT),
    ]


def _forms() -> list[Oddity]:
    file = (b'Content-Disposition: form-data; name="file"; filename="a; name=model\\".wav"\r\n'
            b"Content-Type: audio/wav\r\n\r\nRIFF\r\n\r\n--b\0\xff\r\n")
    model = b'content-disposition:form-data;NAME="model";\r\n\r\n' + MODEL.encode() + b"\r\n"
    empty = b'Content-Disposition: form-data; name="prompt"\r\n\r\n\r\n'
    path = "/v1/audio/transcriptions"

    def form(name: str, boundary: bytes, parts: list[bytes], end: bytes = b"\r\n",
             how: How = How.WHOLE) -> Oddity:
        body = b"".join(b"--" + boundary + b"\r\n" + part for part in parts)
        body += b"--" + boundary + b"--" + end
        kind = b'Content-Type: multipart/form-data; boundary="' + boundary + b'"\r\n'
        return Oddity("form: " + name, post(kind, body, path.encode()), (Up(body, path),), how=how)

    return [
        form("the model behind the file, its name in odd case", b"b1", [file, model]),
        form("the model before the file", b"b1", [model, file]),
        form("an empty part", b"b1", [empty, model]),
        form("nothing behind the last boundary", b"b1", [model], b""),
        form("an epilogue", b"b1", [model], b"\r\nnobody reads this"),
        form("a boundary of 70 characters", b"'()+_,-./:=?" + b"b" * 58, [file, model]),
        form("cut at every offset", b"b1", [file, model], how=How.EVERY_CUT),
    ]


RECORDS = [json.dumps({"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "response": word,
                       "done": word == ""}).encode() + b"\n" for word in ("one", " zwei é", "")]
STREAM = b"".join(RECORDS)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n" + CHUNKED + b"\r\n"
STREAMED = _STREAM_HEAD + b"".join(chunk(record) for record in RECORDS) + END


def _answers() -> list[Oddity]:
    def reply(name: str, data: bytes, how: How = How.WHOLE, closes: bool = False) -> Oddity:
        return Oddity("answer: " + name, post(), how=how, reply=data, reply_closes=closes)

    def stream(name: str, data: bytes, how: How = How.WHOLE) -> Oddity:
        body = json.dumps({"model": MODEL, "prompt": "x"}).encode()
        return Oddity("answer: " + name, post(body=body), (Up(body),), (Back(body=STREAM),), how,
                      reply=data)

    def document(fields: bytes, body: bytes = DOCUMENT, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
        return line + b"\r\nContent-Type: application/json\r\n" + fields + b"\r\n" + body

    sized = b"Content-Length: %d\r\n" % len(DOCUMENT)
    halves = chunk(DOCUMENT[:20]) + chunk(DOCUMENT[20:])
    trailed = _STREAM_HEAD + b"".join(chunk(bytes([c]), b"01", b";x") for c in STREAM) + (
        b"0\r\nX-T: u\r\n\r\n")
    return [
        reply("cut at every offset", whole(DOCUMENT), How.ANSWER_CUT),
        reply("chunked, cut at every offset", document(CHUNKED, halves + END), How.ANSWER_CUT),
        reply("byte by byte", whole(DOCUMENT), How.ANSWER_BYTES),
        reply("until the close", document(b"Connection: close\r\n"), closes=True),
        reply("of HTTP/1.0, until the close", document(b"", line=b"HTTP/1.0 200 OK"), closes=True),
        reply("of HTTP/1.0 with a length", document(sized, line=b"HTTP/1.0 200 OK"), closes=True),
        reply("an empty reason", document(sized, line=b"HTTP/1.1 200 ")),
        reply("obs-text in the reason", document(sized, line=b"HTTP/1.1 200 D\xe9j\xe0 vu")),
        reply("obs-text in a value", document(sized + b"X-Name: \xe9\xff\r\n")),
        reply("names in odd case", document(sized).replace(b"Content-", b"cONTENT-")),
        reply("an empty value", document(sized + b"X-Empty:\r\n")),
        reply("100 Continue before it", b"HTTP/1.1 100 Continue\r\n\r\n" + whole(DOCUMENT)),
        reply("early hints before it", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
              + whole(DOCUMENT)),
        reply("chunk extensions and a trailer",
              document(CHUNKED, chunk(DOCUMENT, extension=b';a="b"') + b"0\r\nX-T: u\r\n\r\n")),
        reply("leading zeros in chunk sizes",
              document(CHUNKED, chunk(DOCUMENT, (b"%X" % len(DOCUMENT)).rjust(8, b"0"))
                       + b"000\r\n\r\n")),
        reply("a Content-Type with parameters",
              whole(DOCUMENT, content_type='Application/JSON ; charset="utf-8"')),
        stream("a stream, all at once", STREAMED),
        stream("a stream in chunks of one byte, with a trailer", trailed),
        stream("a stream cut at every offset", STREAMED, How.ANSWER_CUT),
    ]
