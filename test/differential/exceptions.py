"""Where other readers refuse what we accept, or read it otherwise, and why that is no danger. Each
entry has to occur, or it is stale and the test says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cases import Case

Said = dict[str, Any]


@dataclass(frozen=True)
class Exception_:
    reader: str
    name: str
    reason: str
    why: str  # a regular expression for the other reader's words, empty when it waits for more
    applies: Callable[[Case, Said], bool]


def _has_framing_trailer(case: Case, ours: Said) -> bool:
    """Behind the last chunk a field says how long something is."""
    chunked = any(name.lower() == "transfer-encoding" for name, _ in ours["fields"])
    whole = case.message[:ours["consumed"]]
    last_lines = whole[whole.rfind(b"\r\n0"):].lower()
    return chunked and (b"content-length:" in last_lines or b"transfer-encoding:" in last_lines)


def _has_extension(case: Case, ours: Said) -> bool:
    head, _, body = case.message[:ours["consumed"]].partition(b"\r\n\r\n")
    return b"chunked" in head.lower() and b";" in body


def _pads_length_with_tabs(case: Case, _: Said) -> bool:
    return re.search(rb"\r\ncontent-length:[ \t0-9]*\t\r\n", case.message, re.I) is not None


def _begins_with_an_empty_line(case: Case, _: Said) -> bool:
    return case.kind == "request" and case.message.startswith(b"\r\n")


def _has_unknown_method(_: Case, ours: Said) -> bool:
    known = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
    return "method" in ours and ours["method"] not in known


TRAILERS = ("Trailers are checked and dropped: they reach neither an instance nor a client, and "
            "may not frame anything (RFC 9110 6.5.1).")
EXTENSIONS = ("Chunk extensions are read over and dropped (RFC 9112 7.1.1); the body is framed "
              "anew, so that nobody behind us sees them.")

EXCEPTIONS = [
    Exception_("llhttp", "a trailer that would frame", TRAILERS,
               "Content-Length can't be present with Transfer-Encoding"
               "|Invalid `Transfer-Encoding`|^$", _has_framing_trailer),
    Exception_("h11", "a trailer that would frame", TRAILERS,
               "bad Content-Length|Only Transfer-Encoding: chunked is supported",
               _has_framing_trailer),
    Exception_("llhttp", "an odd chunk extension", EXTENSIONS,
               "Invalid character in chunk extensions", _has_extension),
    Exception_("llhttp", "tabs behind a length",
               "Tabs around a value are white space (RFC 9110 5.5); the length is written anew.",
               "Invalid character in Content-Length", _pads_length_with_tabs),
    Exception_("llhttp", "a method that it does not know",
               "llhttp has a list of methods. Ours are sorted out behind the parser: what is not "
               "in the table of routes is answered 404 or 405 and sent to nobody.",
               "Invalid method encountered|Expected space after method", _has_unknown_method),
    Exception_("h11", "an empty line in front",
               "RFC 9112 2.2 asks servers to forgive it; we forgive one.",
               "no request line received", _begins_with_an_empty_line),
]


# What Go refuses of what we accept, by its words. It never sees any of it: what an instance gets is
# written anew, without extensions, trailers and empty lines. Each has to occur.
GO_REFUSES = {
    'malformed HTTP request ""': "an empty line in front",
    "header line too long": "a chunk extension of 4 KiB",
    "http: suspiciously long trailer after chunked body": "trailers of 8 KiB",
}


def find(reader: str, case: Case, ours: Said, theirs: Said) -> Exception_ | None:
    if theirs["outcome"] == "complete":
        return None
    return next((each for each in EXCEPTIONS
                 if each.reader == reader and re.search(each.why, theirs.get("why", ""))
                 and each.applies(case, ours)), None)


# What others accept and we refuse, by the beginning of our reason. A reason that is not here means
# that our parsers became stricter, or speak otherwise: look at the messages, then add it.
STRICTER = [
    "A chunk extension has a control character in it.",
    "A chunk extension is longer than",
    "A chunk size has more than 16 digits.",
    "A chunk size is not a hexadecimal number.",
    "A chunk size line does not end in CR LF.",
    "A header field value has a control character in it.",
    "A header line begins with white space; folded header lines are not accepted.",
    "A line of the head does not end in CR LF.",
    "A percent sign in the request target is not followed by two hexadecimal digits.",
    "A trailer field has a control character in it.",
    "A trailer field has no valid name.",
    "An HTTP/1.1 request needs a Host field.",
    "Content-Length and Transfer-Encoding exclude each other.",
    "Content-Length is given more than once.",
    "Content-Length is not a plain decimal number.",
    "HTTP/1.0 has no Transfer-Encoding.",
    "HTTP/2 is not spoken on this listener.",
    "Host and the URL in the request line name different servers.",
    "Host is given more than once.",
    "Host is not a name or address with an optional port.",
    "Only HTTP/1.0 and HTTP/1.1 are spoken on this listener.",
    "Only the transfer coding 'chunked' is implemented.",
    "The URL in the request line has no path.",
    "The trailer section is longer than",
    "The first line has a control character or does not end in CR LF.",
    "The method CONNECT is not implemented.",
    "The only expectation that can be met is 100-continue.",
    "The request does not begin with the name of a method.",
    "The request line is not 'METHOD TARGET HTTP/1.1' with single spaces.",
    "Only OPTIONS may have the request target '*'.",
    "The request target is longer than",
    "The request target is neither a path nor an http or https URL.",
    "The status line is not 'HTTP/1.1 STATUS REASON'.",
    "There are empty lines before the request.",
    "There are more header fields than",
    "The message head is longer than",
    "Transfer-Encoding must be given once, as 'chunked' alone.",
]
# Of all messages; 3 and 5 in a hundred when this was written.
STRICTER_SHARE = {"llhttp": 0.06, "h11": 0.08}
INSTANCE = "An instance sent a broken answer: "
