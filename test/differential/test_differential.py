"""Whatever our parsers accept, others accept too and read the same; see exceptions.py for the few
places where they do not, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import exceptions
from cases import SEED, USUAL_SEED, Case
from readers import Said, cases, go_reader, said_by, said_by_go
from upstream import forwarded

READERS = ["llhttp", "h11"]
SHOWN = 5


def compared(reader: str) -> list[tuple[Case, Said, Said]]:
    return list(zip(cases(), said_by("drover"), said_by(reader), strict=True))


def fields_of(said: Said, request: bool) -> list[tuple[str, str]]:
    """What we drop is not compared, and what a reader spells its own way is spelled one way."""
    fields = []
    for name, value in said["fields"]:
        key = name.lower()
        if request and "_" in key:
            continue
        if key == "transfer-encoding":
            value = value.lower()
        fields.append((key, value))
    return fields


def target_of(ours: Said, theirs: Said) -> str:
    """Ours as the other saw it: we take an absolute form apart."""
    target: str = theirs["target"]
    scheme, found, rest = target.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        return str(ours["target"])
    bare = not rest[len(ours["authority"]):]
    return f"{scheme}://{ours['authority']}{'' if bare else ours['target']}"


def difference(case: Case, ours: Said, theirs: Said) -> str:
    """Empty: the two read the same message."""
    if theirs["outcome"] != "complete":
        return f"{theirs['outcome']}: {theirs.get('why', '')}"
    request = case.kind == "request"
    for key in ("method", "minor") if request else ("status", "minor"):
        if ours[key] != theirs[key]:
            return f"{key} is {theirs[key]}"
    if request and target_of(ours, theirs) != theirs["target"]:
        return f"the target is {theirs['target']}"
    if fields_of(ours, request) != fields_of(theirs, request):
        return f"the fields are {theirs['fields']}"
    if ours["body"] != theirs["body"]:
        return f"the body is {theirs['body']!r}"
    if ours["consumed"] != theirs["consumed"]:
        return f"it ends at byte {theirs['consumed']}"
    return ""


def test_there_are_thousands_of_messages_of_every_outcome() -> None:
    said = Counter((case.kind, ours["outcome"])
                   for case, ours in zip(cases(), said_by("drover"), strict=True))
    assert len(cases()) > 5000
    assert said["request", "complete"] > 1500 and said["request", "refused"] > 800
    assert said["response", "complete"] > 800 and said["response", "refused"] > 300
    assert said["response-to-head", "complete"] > 200


@pytest.mark.parametrize("kind", ["request", "response", "response-to-head"])
@pytest.mark.parametrize("reader", READERS)
def test_what_we_accept_others_read_the_same(reader: str, kind: str) -> None:
    wrong = []
    for case, ours, theirs in compared(reader):
        if case.kind != kind or ours["outcome"] != "complete":
            continue
        what = difference(case, ours, theirs)
        if what and not exceptions.find(reader, case, ours, theirs):
            wrong.append(f"{case.name}: {case.message[:400]!r}\n  ours {ours}\n  {reader}: {what}")
    assert not wrong, f"{len(wrong)} messages\n" + "\n".join(wrong[:SHOWN])


@pytest.mark.parametrize("reader", READERS)
def test_where_we_wait_for_more_nobody_sees_an_end(reader: str) -> None:
    wrong = [f"{case.name}: {case.message[:400]!r}\n  {reader}: {theirs}"
             for case, ours, theirs in compared(reader)
             if ours["outcome"] == "incomplete" and theirs["outcome"] == "complete"]
    assert not wrong, f"{len(wrong)} messages\n" + "\n".join(wrong[:SHOWN])


@pytest.mark.skipif(SEED != USUAL_SEED, reason="other messages need not have every exception")
@pytest.mark.parametrize("exception", exceptions.EXCEPTIONS,
                         ids=lambda each: f"{each.reader}: {each.name}")
def test_each_exception_occurs(exception: exceptions.Exception_) -> None:
    occurs = any(ours["outcome"] == "complete" and difference(case, ours, theirs)
                 and exceptions.find(exception.reader, case, ours, theirs) is exception
                 for case, ours, theirs in compared(exception.reader))
    assert occurs, f"stale, take it out: {exception.reason}"


@pytest.mark.parametrize("reader", READERS)
def test_what_we_refuse_and_others_accept_is_known(reader: str) -> None:
    refused = Counter(ours["why"].removeprefix(exceptions.INSTANCE)
                      for _, ours, theirs in compared(reader)
                      if ours["outcome"] == "refused" and theirs["outcome"] == "complete")
    for why, count in refused.most_common():
        print(f"{reader} accepts {count:4}: {why}")
    unknown = [why for why in refused if not why.startswith(tuple(exceptions.STRICTER))]
    assert not unknown, f"stricter than before, or in other words: {unknown}"
    share = sum(refused.values()) / len(cases())
    assert share < exceptions.STRICTER_SHARE[reader], f"{share:.1%} of all messages"


def fields_in_go(said: Said) -> dict[str, list[str]]:
    return {name.lower(): values for name, values in (said["fields"] or {}).items()}


def sent_fields(ours: Said) -> dict[str, list[str]]:
    """What our reader found in the bytes for the instance, gathered by name as Go does; Host and
    the framing are told apart from the fields there."""
    gathered: dict[str, list[str]] = {}
    for name, value in ours["fields"]:
        if name.lower() not in ("host",):
            gathered.setdefault(name.lower(), []).append(value)
    return gathered


@pytest.mark.skipif(go_reader() is None, reason="no Go on this machine")
def test_what_we_accept_go_reads_the_same() -> None:
    """Requests as they come, though Go only ever gets what we write anew."""
    accepted = [(case, ours) for case, ours in zip(cases(), said_by("drover"), strict=True)
                if case.kind == "request" and ours["outcome"] == "complete"]
    wrong, refused = [], set()
    for (case, ours), go in zip(
            accepted, said_by_go([case.message for case, _ in accepted]), strict=True):
        if go["outcome"] == "refused" and go["why"] in exceptions.GO_REFUSES:
            refused.add(go["why"])
        elif what := difference_in_go(ours, go):
            wrong.append(f"{case.name}: {case.message[:400]!r}\n  ours {ours}\n  go: {what}")
    assert not wrong, f"{len(wrong)} messages\n" + "\n".join(wrong[:SHOWN])
    if SEED == USUAL_SEED:
        assert refused == set(exceptions.GO_REFUSES), "stale, take it out"


def difference_in_go(ours: Said, go: Said) -> str:
    if go["outcome"] != "complete":
        return f"{go['outcome']}: {go.get('why', '')}"
    for key, theirs in (("method", go["method"]), ("authority", go["host"]), ("body", go["body"]),
                        ("consumed", go["consumed"])):
        if ours[key] != theirs:
            return f"{key} is {theirs!r}"
    if target_of(ours, go) != go["target"]:
        return f"the target is {go['target']}"
    # Go keeps the framing and Host elsewhere, and what Trailer announces, too.
    elsewhere = ("host", "transfer-encoding", "trailer")
    fields = {name: values for name, values in sent_fields(ours).items()
              if "_" not in name and name not in elsewhere}
    theirs = {name: values for name, values in fields_in_go(go).items()
              if "_" not in name and name not in elsewhere}
    return "" if fields == theirs else f"the fields are {theirs}"


@pytest.mark.skipif(go_reader() is None, reason="no Go on this machine")
def test_an_instance_in_go_reads_what_the_client_said() -> None:
    sent: list[tuple[Said, bytes, bytes]] = forwarded()
    assert len(sent) > 150
    wrong: list[Any] = []
    for (ours, body, message), go in zip(
            sent, said_by_go([message for _, _, message in sent]), strict=True):
        same = (go["outcome"] == "complete" and go["method"] == ours["method"]
                and go["target"] == ours["target"] and go["host"] == ours["authority"]
                and fields_in_go(go) == sent_fields(ours)
                and go["body"] == body.decode("latin1") and go["consumed"] == len(message))
        if not same:
            wrong.append((message, ours, go))
    assert not wrong, f"{len(wrong)} messages, the first: {wrong[0]}"
