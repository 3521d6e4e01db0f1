"""What h11 makes of the messages that read_messages.cc describes: the same lines in, the same
objects out."""

from __future__ import annotations

import json
import sys
from typing import Any

import h11

LONGEST_HEAD = 1 << 20  # h11's own limit is no matter here


def connection(kind: str) -> h11.Connection:
    if kind == "request":
        return h11.Connection(h11.SERVER, LONGEST_HEAD)
    client = h11.Connection(h11.CLIENT, LONGEST_HEAD)
    method = "HEAD" if kind == "response-to-head" else "GET"
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    return client


def head_of(event: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "minor": int(event.http_version.split(b".")[1]),
        "fields": [[name.decode("latin1"), value.decode("latin1")]
                   for name, value in event.headers.raw_items()],
    }
    if isinstance(event, h11.Request):
        return {"method": event.method.decode(), "target": event.target.decode("latin1"), **said}
    return {"status": event.status_code, **said}


def read(kind: str, message: bytes) -> dict[str, Any]:
    here = connection(kind)
    said: dict[str, Any] = {}
    body = b""
    ended = False
    here.receive_data(message)
    while True:
        try:
            event = here.next_event()
        except h11.RemoteProtocolError as error:
            # The end of the connection inside a message is no fault of its text.
            return {"outcome": "incomplete"} if ended else {"outcome": "refused", "why": str(error)}
        if isinstance(event, (h11.Request, h11.Response, h11.InformationalResponse)):
            said = head_of(event)
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        if isinstance(event, (h11.EndOfMessage, h11.InformationalResponse)):
            rest, _ = here.trailing_data
            return {"outcome": "complete", **said, "body": body.decode("latin1"),
                    "consumed": len(message) - len(rest)}
        if event is h11.NEED_DATA:
            if kind == "request" or ended:
                return {"outcome": "incomplete"}
            ended = True
            here.receive_data(b"")
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            return {"outcome": "incomplete"}


def main() -> None:
    for line in sys.stdin:
        kind, _, text = line.rstrip("\n").partition(" ")
        print(json.dumps(read(kind, bytes.fromhex(text))))


if __name__ == "__main__":
    main()
