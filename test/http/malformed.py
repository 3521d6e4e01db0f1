"""The numbered malformed requests: what must never get past drover.

Each row is one mistake in a request that is served without it: the body asks for a model that the
instance has. So whoever reads a row more kindly than drover does serves it, and is seen doing so.
"""

from __future__ import annotations

from dataclasses import dataclass

from machine import BODY

DROPPED_FIELD = 42  # the one number that is served: without the field


@dataclass(frozen=True)
class Case:
    number: int
    name: str
    raw: bytes
    status: int = 400
    reason: str = "malformed"
    dialect: str = ""  # of the answer; empty: that of the route
    is_http: bool = False  # refused for what it asks, not for how it is written


ROUTES = {"/api/generate": "native", "/v1/chat/completions": "openai", "/v1/messages": "anthropic"}
HOST = b"Host: localhost\r\n"
LENGTH = len(BODY)
DIGITS = str(LENGTH).encode()
HEX = b"%x" % LENGTH
CHUNKS = HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n"


class _Writer:
    """Requests for one route, right but for what a row says."""

    def __init__(self, path: str) -> None:
        self.path = path.encode()
        self.hidden = self.line() + HOST + b"Content-Length: " + DIGITS + b"\r\n\r\n" + BODY

    def line(self, target: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
        return b"POST " + (target or self.path) + b" " + version + b"\r\n"

    def request(self, fields: bytes, body: bytes, line: bytes = b"", host: bytes = HOST) -> bytes:
        return (line or self.line()) + host + fields + b"\r\n" + body

    def sized(self, more: bytes = b"", line: bytes = b"", host: bytes = HOST) -> bytes:
        return self.request(b"Content-Length: " + DIGITS + b"\r\n" + more, BODY, line, host)

    def length(self, value: bytes, body: bytes = BODY) -> bytes:
        return self.request(b"Content-Length:" + value + b"\r\n", body)

    def coded(self, value: bytes, more: bytes = b"") -> bytes:
        return self.request(b"Transfer-Encoding:" + value + b"\r\n" + more, CHUNKS)

    def chunks(self, size: bytes = HEX, end: bytes = b"\r\n", data: bytes = BODY,
               behind: bytes = b"\r\n") -> bytes:
        return self.request(b"Transfer-Encoding: chunked\r\n",
                            size + end + data + behind + b"0\r\n\r\n")


def cases(path: str) -> list[Case]:
    write = _Writer(path)
    return [*_host(write), *_length(write), *_coding(write), *_chunk(write), *_line(write),
            *_request_line(write)]


def plain(path: str) -> list[bytes]:
    """The same requests without a mistake."""
    write = _Writer(path)
    return [write.sized(), write.chunks()]


def _host(write: _Writer) -> list[Case]:
    def host(value: bytes) -> bytes:
        return write.sized(host=b"Host:" + value + b"\r\n")

    other = write.line(b"http://other.localhost" + write.path)
    return [
        Case(1, "HTTP/1.1 without Host", write.sized(host=b"")),
        Case(2, "two Host fields, different", write.sized(b"Host: other.localhost\r\n")),
        Case(3, "two Host fields, equal", write.sized(HOST)),
        Case(4, "a list in Host", host(b" localhost,localhost")),
        Case(5, "a user in Host", host(b" user@localhost")),
        Case(6, "a path in Host", host(b" localhost/x")),
        Case(7, "an empty Host", host(b"")),
        Case(8, "NUL in Host", host(b" local\0host")),
        Case(9, "a space in Host", host(b" local host")),
        Case(10, "absolute form, another Host", write.sized(line=other), dialect="native"),
    ]


def _length(write: _Writer) -> list[Case]:
    around = DIGITS[:1] + b"%b" + DIGITS[1:]
    both = b"Content-Length: %d\r\n" % len(CHUNKS)
    over = b"Content-Length: %d\r\n" % (LENGTH + len(write.hidden))
    covering = b"Content-Length: %d\r\n" % (len(CHUNKS) + len(write.hidden))
    return [
        Case(11, "Content-Length, then chunked",
             write.request(both + b"Transfer-Encoding: chunked\r\n", CHUNKS)),
        Case(12, "chunked, then a Content-Length over a hidden request",
             write.request(b"Transfer-Encoding: chunked\r\n" + covering, CHUNKS + write.hidden)),
        Case(13, "two lengths, one over a hidden request",
             write.request(b"Content-Length: " + DIGITS + b"\r\n" + over, BODY + write.hidden)),
        Case(14, "two equal lengths", write.sized(b"Content-Length: " + DIGITS + b"\r\n")),
        Case(15, "a list of lengths", write.length(b" " + DIGITS + b", 2")),
        Case(16, "a list of equal lengths", write.length(b" " + DIGITS + b", " + DIGITS)),
        Case(17, "a length with a plus", write.length(b" +" + DIGITS)),
        Case(18, "a negative length", write.length(b" -" + DIGITS)),
        Case(19, "negative zero", write.length(b" -0", b"")),
        Case(20, "a hexadecimal length", write.length(b" 0x" + HEX)),
        Case(21, "a length with an underscore", write.length(b" " + around % b"_")),
        Case(22, "a length with a space", write.length(b" " + around % b" ")),
        Case(23, "an empty length", write.length(b"")),
        Case(24, "an empty length, then another",
             write.request(b"Content-Length:\r\nContent-Length: " + DIGITS + b"\r\n", BODY)),
        Case(25, "a length with a letter", write.length(b" " + DIGITS + b"Z")),
        Case(26, "a length beyond 64 bits", write.length(b" %d" % (2**64 + LENGTH))),
        Case(27, "a fractional length", write.length(b" " + DIGITS + b".0")),
    ]


def _coding(write: _Writer) -> list[Case]:
    sized = b"Content-Length: %d\r\n" % len(CHUNKS)
    old = write.line(version=b"HTTP/1.0")
    return [
        Case(28, "an unknown coding", write.coded(b" xchunked"), 501, "unsupported"),
        Case(29, "chunked, gzip", write.coded(b" chunked, gzip")),
        Case(30, "chunked, chunked", write.coded(b" chunked, chunked")),
        Case(31, "two fields with chunked",
             write.coded(b" chunked", b"Transfer-Encoding: chunked\r\n")),
        Case(32, "identity, with a length", write.sized(b"Transfer-Encoding: identity\r\n")),
        Case(33, "an empty coding, with a length", write.sized(b"Transfer-Encoding:\r\n")),
        Case(34, "a comma before chunked, with a length", write.coded(b" ,chunked", sized)),
        Case(35, "a vertical tab before chunked", write.coded(b" \x0bchunked")),
        Case(36, "NUL after chunked", write.coded(b" chunked\0")),
        Case(37, "chunked with a parameter", write.coded(b" chunked;x=1")),
        Case(38, "a coding on a folded line, with a length", write.coded(b"\r\n chunked", sized)),
        Case(39, "a space before its colon, with a length",
             write.request(b"Transfer-Encoding : chunked\r\n" + sized, CHUNKS)),
        Case(40, "a coding in HTTP/1.0",
             write.request(b"Transfer-Encoding: chunked\r\n", CHUNKS, line=old)),
        Case(41, "0x85 before chunked", write.coded(b" \x85chunked")),
        Case(DROPPED_FIELD, "Transfer_Encoding", write.sized(b"Transfer_Encoding: chunked\r\n"),
             200, ""),
    ]


def _chunk(write: _Writer) -> list[Case]:
    return [
        Case(43, "chunk size 0x…", write.chunks(b"0x" + HEX)),
        Case(44, "chunk size +…", write.chunks(b"+" + HEX)),
        Case(45, "chunk size -…", write.chunks(b"-" + HEX)),
        Case(46, "an underscore in a chunk size", write.chunks(HEX[:1] + b"_" + HEX[1:])),
        Case(47, "a space before a chunk size", write.chunks(b" " + HEX)),
        Case(48, "a space after a chunk size", write.chunks(HEX + b" ")),
        Case(49, "an empty chunk size", write.chunks(b"")),
        Case(50, "a chunk size of 17 digits", write.chunks(HEX.rjust(17, b"0"))),
        Case(51, "a bare LF after a chunk size", write.chunks(end=b"\n")),
        Case(52, "a bare LF after chunk data", write.chunks(behind=b"\n")),
        Case(53, "a bare CR after a chunk size", write.chunks(end=b"\r")),
        Case(54, "LF in a chunk extension", write.chunks(HEX + b";a\nb")),
        Case(55, "CR in a chunk extension", write.chunks(HEX + b";a\rb")),
        Case(56, "NUL in a chunk extension", write.chunks(HEX + b";a\0b")),
        Case(57, "more data than a chunk size says", write.chunks(data=BODY + b" ")),
        Case(58, "no CR LF after chunk data", write.chunks(behind=b"")),
        Case(59, "a chunk extension of 64 KiB", write.chunks(HEX + b";" + b"x" * 65536)),
    ]


def _line(write: _Writer) -> list[Case]:
    plain_head, separator, body = write.sized().partition(b"\r\n\r\n")
    head = plain_head + separator
    return [
        Case(60, "bare LF throughout", head.replace(b"\r\n", b"\n") + body),
        Case(61, "a bare CR in a value", write.sized(b"X: b\rc\r\n")),
        Case(62, "bare CR throughout", head.replace(b"\r\n", b"\r") + body),
        Case(63, "a folded line", write.sized(b"X: b\r\n c\r\n")),
        Case(64, "a space before a colon", write.sized(b"X : b\r\n")),
        Case(65, "a line without a colon", write.sized(b"nothing\r\n")),
        Case(66, "an empty name", write.sized(b": b\r\n")),
        Case(67, "a control octet in a name", write.sized(b"X\x01Y: b\r\n")),
        Case(68, "an octet from 0x80 in a name", write.sized(b"X\xc3\xa9: b\r\n")),
        Case(69, "brackets in a name", write.sized(b"[X]: b\r\n")),
        Case(70, "NUL in a value", write.sized(b"X: b\0c\r\n")),
        Case(71, "0x01 in a value", write.sized(b"X: b\x01c\r\n")),
        Case(72, "white space before the first field", write.sized(host=b" X: b\r\n" + HOST)),
        Case(89, "a field of 100 kB", write.sized(b"X: " + b"x" * 100_000 + b"\r\n"), 431,
             "head_too_large"),
        Case(90, "10,000 fields", write.sized(b"x: y\r\n" * 10_000), 431, "head_too_large"),
    ]


def _request_line(write: _Writer) -> list[Case]:
    def line(text: bytes) -> bytes:
        return write.sized(line=text + b"\r\n")

    path = write.path
    escaped = b"/%%%02x" % path[1] + path[2:]
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    return [
        Case(73, "HTTP/1.32", line(b"POST " + path + b" HTTP/1.32"), 505, "http_version"),
        Case(74, "http/1.1", line(b"POST " + path + b" http/1.1")),
        Case(75, "HTTP/2.0", line(b"POST " + path + b" HTTP/2.0"), 505, "http_version"),
        Case(76, "HTTP/1", line(b"POST " + path + b" HTTP/1")),
        Case(77, "no version", line(b"POST " + path)),
        Case(78, "two spaces", line(b"POST  " + path + b" HTTP/1.1"), dialect="native"),
        Case(79, "tabs as separators", line(b"POST\t" + path + b"\tHTTP/1.1"), dialect="native"),
        Case(80, "no target", line(b"POST HTTP/1.1"), dialect="native"),
        Case(81, "NUL in the target", line(b"POST " + path + b"?a\0b HTTP/1.1")),
        Case(82, "a space in the target", line(b"POST " + path + b"?a b HTTP/1.1")),
        Case(83, "# in the target", line(b"POST " + path + b"?a#b HTTP/1.1")),
        Case(84, "raw UTF-8 in the target", line(b"POST " + path + b"?\xc3\xa9 HTTP/1.1")),
        Case(85, "a method that is no token", line(b"P@ST " + path + b" HTTP/1.1")),
        Case(86, "CONNECT", line(b"CONNECT localhost:80 HTTP/1.1"), 501, "unsupported", "native"),
        Case(87, "GET *", line(b"GET * HTTP/1.1"), dialect="native"),
        Case(88, "the preface of HTTP/2", preface + write.hidden, dialect="native"),
        Case(91, "a target of 100 kB", line(b"POST " + path + b"?" + b"x" * 100_000 + b" HTTP/1.1"),
             414, "target_too_long"),
        Case(92, "dot segments", line(b"POST /api/.." + path + b" HTTP/1.1"), 404, "not_found",
             "native", True),
        Case(93, "an escaped letter", line(b"POST " + escaped + b" HTTP/1.1"), 404, "not_found",
             "native", True),
    ]
