"""curl and bare HTTP, as people use them by hand: no Content-Type, HEAD, wrong methods."""

from __future__ import annotations

import json
import subprocess

import pytest

from fleet import CHAT_MODEL, Fleet


def curl(*arguments: str) -> tuple[int, str]:
    """(status, body) of one call."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20",
         "--write-out", "\n%{http_code}", *arguments],
        capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_a_body_without_json_content_type_is_read(fleet: Fleet) -> None:
    # `curl -d` says application/x-www-form-urlencoded, and Ollama does not mind.
    question = json.dumps({"model": CHAT_MODEL, "prompt": "echo: one two", "stream": False})
    status, body = curl(f"{fleet.url}/api/generate", "-d", question)
    assert status == 200 and json.loads(body)["response"].split() == ["one", "two"]
    status, body = curl(f"{fleet.url}/api/generate", "-d", question, "-H", "Content-Type:")
    assert status == 200 and json.loads(body)["done"]


def test_curl_streams_by_default(fleet: Fleet) -> None:
    question = json.dumps({"model": CHAT_MODEL, "prompt": "echo: one two"})
    status, body = curl("--no-buffer", f"{fleet.url}/api/generate", "-d", question)
    lines = [json.loads(line) for line in body.splitlines()]
    assert status == 200 and lines[-1]["done"] is True
    assert "".join(line["response"] for line in lines).split() == ["one", "two"]


def test_a_chunked_upload_and_expect_continue_are_taken(fleet: Fleet) -> None:
    question = json.dumps({"model": CHAT_MODEL, "prompt": "echo: one", "stream": False})
    status, _ = curl(f"{fleet.url}/api/generate", "-d", question,
                     "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue")
    assert status == 200


def test_http_1_0_gets_a_whole_answer(fleet: Fleet) -> None:
    question = json.dumps({"model": CHAT_MODEL, "prompt": "echo: one two"})
    status, body = curl("--http1.0", f"{fleet.url}/api/generate", "-d", question)
    assert status == 200 and json.loads(body.splitlines()[-1])["done"] is True


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
def test_head_answers_without_a_body(fleet: Fleet, path: str) -> None:
    assert curl("--head", "--output", "/dev/null", fleet.url + path)[0] == 200


def test_the_root_says_that_it_runs(fleet: Fleet) -> None:
    assert curl(fleet.url + "/") == (200, "Ollama is running")


def test_version_is_the_fleets(fleet: Fleet) -> None:
    status, body = curl(f"{fleet.url}/api/version")
    assert status == 200 and json.loads(body)["version"][0].isdigit()


def test_delete_with_a_body_of_what_nobody_has_is_ollamas_404(fleet: Fleet) -> None:
    status, body = curl("-X", "DELETE", f"{fleet.url}/api/delete",
                        "-d", json.dumps({"model": "nosuch"}))
    assert status == 404 and json.loads(body)["error"] == "model 'nosuch' not found"
    assert CHAT_MODEL in curl(f"{fleet.url}/api/tags")[1]


@pytest.mark.parametrize("method, path, expected", [
    ("GET", "/api/generate", 405),
    ("DELETE", "/api/chat", 405),
    ("POST", "/api/tags", 405),
    ("GET", "/no/such/path", 404),
    ("GET", "/v1/no-such-path", 404),
])
def test_wrong_methods_and_paths_are_told_apart(fleet: Fleet, method: str, path: str,
                                                expected: int) -> None:
    status, body = curl("-X", method, fleet.url + path)
    assert status == expected and json.loads(body)["error"]


@pytest.mark.parametrize("path, body, expected", [
    ("/api/generate", "{", 400),
    ("/api/generate", "[]", 400),
    ("/api/generate", '{"prompt":"x"}', 400),
    ("/api/generate", '{"model":"a","model":"b"}', 400),
    ("/v1/chat/completions", "{", 400),
    ("/v1/messages", "{", 400),
])
def test_a_bad_body_is_a_400_in_the_dialect(fleet: Fleet, path: str, body: str,
                                            expected: int) -> None:
    status, answer = curl(fleet.url + path, "-d", body)
    error = json.loads(answer)["error"]
    assert status == expected
    assert error["message"] if path.startswith("/v1/") else isinstance(error, str) and error
