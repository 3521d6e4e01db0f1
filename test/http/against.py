"""The malformed requests through another proxy, for the figure in the documents: how many does it
pass on? Its configuration is the least that it needs; the server behind it frames leniently.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from machine import Connection, Instance, wait_until
from malformed import DROPPED_FIELD, cases

HAPROXY = """\
global
  maxconn 100
defaults
  mode http
  timeout connect 2s
  timeout client 2s
  timeout server 2s
  timeout http-request 2s
frontend clients
  bind 127.0.0.1:{port}
  default_backend instances
backend instances
  server one 127.0.0.1:{instance}
"""

NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_header_timeout 2s;
  client_body_timeout 2s;
  upstream instances {{ server 127.0.0.1:{instance}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://instances;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
    }}
  }}
}}
"""


class Missing(Exception):
    pass


class _Proxy:
    """HAProxy or nginx on a free port; a context manager."""

    def __init__(self, program: str, instance: int) -> None:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
        if not path:
            raise Missing(f"{program} is not installed: apt-get install {program}")
        self._folder = tempfile.TemporaryDirectory()
        self.port = _free_port()
        file = Path(self._folder.name) / "proxy.conf"
        text = HAPROXY if program == "haproxy" else NGINX
        file.write_text(text.format(port=self.port, instance=instance, folder=self._folder.name))
        flags = ["-db", "-f", str(file)] if program == "haproxy" else ["-c", str(file)]
        self.version = _version(path)
        self._process = subprocess.Popen([path, *flags], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)

    def __enter__(self) -> _Proxy:
        wait_until(self._listens, "the proxy listens")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise Missing("the proxy ended at once; does its configuration fit this version?")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        return int(chosen.getsockname()[1])


def _version(path: str) -> str:
    said = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).splitlines()[0].strip()


def forwarded(program: str) -> int:
    """Prints a line a case and the sums; 0 always: this is a figure, not a test."""
    instance = Instance()
    passed: list[int] = []
    heads = 0
    with _Proxy(program, instance.port) as proxy:
        print(proxy.version)
        for case in sorted(cases("/api/generate"), key=lambda case: case.number):
            with Connection(proxy.port) as connection:
                connection.send(case.raw)
                connection.receive(5)
                connection.read_to_end(0.3)
            seen, count = instance.take()
            if count:
                passed.append(case.number)
                heads = max(heads, len(seen))
            status = connection.raw[9:12].decode("latin-1") if connection.raw else "closed"
            print(f"{case.number:3}  {case.name:50}  {status:6}  {count} bytes upstream")
    refusable = [number for number in passed if number != DROPPED_FIELD]
    print(f"number {DROPPED_FIELD} is passed on: {'yes' if DROPPED_FIELD in passed else 'no'}")
    print(f"requests made of one: {heads} at most")
    print(f"passed on, wholly or in part: {len(refusable)} of 92")
    instance.close()
    return 0
