"""A blob of 30 GB (sparse, generated) reaches every store, and drover's memory stays flat.

The simulated instances count the bytes and throw them away.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from pathlib import Path

from fleet import Fleet, http as ask
from measuring import Report

FULL_BYTES = 30_000_000_000
USUAL_BYTES = 500_000_000
GROWTH_BYTES = 8_000_000  # buffers of the sockets to the client and to each store
DIGEST = "sha256:" + "ab" * 32


class Upload(threading.Thread):
    """One POST of the whole file, with the kernel doing the copying."""

    def __init__(self, port: int, file: Path, chunked: bool) -> None:
        super().__init__(daemon=True)
        self.port, self.file, self.chunked = port, file, chunked
        self.status = 0

    def run(self) -> None:
        size = self.file.stat().st_size
        with socket.create_connection(("127.0.0.1", self.port)) as to, self.file.open("rb") as blob:
            framing = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {size}"
            to.sendall(f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n"
                       .encode())
            sent = 0
            piece = 32 << 20
            while sent < size:
                count = min(piece, size - sent)
                if self.chunked:
                    to.sendall(f"{count:x}\r\n".encode())
                done = 0
                while done < count:
                    done += os.sendfile(to.fileno(), blob.fileno(), sent + done, count - done)
                sent += count
                if self.chunked:
                    to.sendall(b"\r\n")
            if self.chunked:
                to.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(to, method="POST")
            answer.begin()
            self.status = answer.status


def carry(fleet: Fleet, file: Path, chunked: bool, report: Report, seconds: float) -> None:
    start = most = fleet.drover.resident_bytes()
    upload = Upload(fleet.drover.port, file, chunked)
    begun = time.monotonic()
    upload.start()
    while upload.is_alive():
        most = max(most, fleet.drover.resident_bytes())
        upload.join(0.05)
        assert time.monotonic() - begun < seconds, "it never ended"
    took = time.monotonic() - begun
    report(f"blob of {file.stat().st_size / 1e9:g} GB to three stores, memory grew by "
           f"{(most - start) / 1e6:.1f} MB", [took * 1000])
    assert upload.status == 201
    assert most - start < GROWTH_BYTES
    for fake in fleet.fakes:
        assert ask(f"{fake.url}/api/blobs/{DIGEST}", "HEAD")[0] == 200


def test_a_huge_blob_passes_with_flat_memory(tmp_path: Path, full: bool, report: Report) -> None:
    file = tmp_path / "blob"
    with file.open("wb") as sparse:
        sparse.truncate(FULL_BYTES if full else USUAL_BYTES)
    with Fleet(3) as fleet:
        carry(fleet, file, False, report, 1800 if full else 120)


def test_a_chunked_one_passes_with_flat_memory(tmp_path: Path, report: Report) -> None:
    file = tmp_path / "blob"
    with file.open("wb") as sparse:
        sparse.truncate(USUAL_BYTES)
    with Fleet(3) as fleet:
        carry(fleet, file, True, report, 120)
