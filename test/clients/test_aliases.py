"""Names of the operator's, with an official client: asked for, listed, answered by a model."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import openai
import pytest

from fleet import CHAT_MODEL, Fleet

CONFIG = f"""\
aliases:
  fast: [not-pulled-anywhere:4b, {CHAT_MODEL}]
list_aliases: always
"""


@pytest.fixture(scope="module")
def named() -> Iterator[Fleet]:
    with Fleet(2, config=CONFIG) as fleet:
        yield fleet


@pytest.fixture
def client(named: Fleet) -> Iterator[ollama.Client]:
    with ollama.Client(host=named.url) as client:
        yield client


def test_a_chat_with_an_alias_is_answered_by_its_model(client: ollama.Client) -> None:
    hello = [{"role": "user", "content": "echo: one two"}]
    answer = client.chat("fast", hello)
    assert answer.done and answer.model == CHAT_MODEL
    assert answer.message.content == client.chat(CHAT_MODEL, hello).message.content
    assert list(client.chat("FAST:latest", hello, stream=True))[-1].done


def test_an_alias_is_listed_and_shown_as_the_model_that_serves_it(client: ollama.Client) -> None:
    models = {model.model: model.digest for model in client.list().models}
    assert models["fast:latest"] == models[CHAT_MODEL]
    assert client.show("fast").details == client.show(CHAT_MODEL).details


def test_an_alias_is_not_managed(client: ollama.Client) -> None:
    for refused in (lambda: client.pull("fast"), lambda: client.delete("fast")):
        with pytest.raises(ollama.ResponseError) as error:
            refused()
        assert error.value.status_code == 400 and "alias" in error.value.error


def test_the_client_of_openai_uses_it_too(named: Fleet) -> None:
    with openai.OpenAI(base_url=f"{named.url}/v1", api_key="none") as client:
        assert "fast:latest" in [model.id for model in client.models.list()]
        answer = client.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "hi"}])
        assert answer.model == CHAT_MODEL and answer.choices[0].message.content
