"""The official `openai` package for Python, as it is, against drover."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import openai
import pytest

from fleet import CHAT_MODEL, EMBED_MODEL, Fleet, wait_until

HELLO = [{"role": "user", "content": "Why is the sky blue?"}]
# The simulated models call a tool when the question says so.
USE_TOOL = [{"role": "user", "content": "Call the tool: how is the weather in Oslo?"}]
BREAKS = ["error_mid", "cut", "cut_raw", "reset_mid"]
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                       "required": ["city"]},
    },
}


@pytest.fixture
def client(fleet: Fleet) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{fleet.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_chat_answers_in_one_document(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=CHAT_MODEL, messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content
    assert answer.usage and answer.usage.completion_tokens > 0


def test_chat_streams_the_same_words_until_done(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=CHAT_MODEL, messages=HELLO, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    whole = client.chat.completions.create(model=CHAT_MODEL, messages=HELLO)
    assert text == whole.choices[0].message.content


def test_usage_is_told_in_a_stream_that_asks_for_it(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(
        model=CHAT_MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage and chunks[-1].usage.total_tokens > 0


def test_completions_answer_and_stream(client: openai.OpenAI) -> None:
    whole = client.completions.create(model=CHAT_MODEL, prompt="echo: one two three")
    assert whole.choices[0].text.split() == ["one", "two", "three"]
    chunks = list(client.completions.create(model=CHAT_MODEL, prompt="echo: one two three",
                                            stream=True))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text


def test_embeddings_come_as_floats_and_as_base64(client: openai.OpenAI) -> None:
    # The client asks for base64 unless told otherwise, and decodes it.
    decoded = client.embeddings.create(model=EMBED_MODEL, input=["first", "second"])
    floats = client.embeddings.create(model=EMBED_MODEL, input=["first", "second"],
                                      encoding_format="float")
    assert [len(item.embedding) for item in decoded.data] == [len(floats.data[0].embedding)] * 2
    assert decoded.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)


def test_responses_answer_and_stream(client: openai.OpenAI) -> None:
    whole = client.responses.create(model=CHAT_MODEL, input="Why is the sky blue?")
    assert whole.status == "completed" and whole.output_text
    events = list(client.responses.create(model=CHAT_MODEL, input="Why is the sky blue?",
                                          stream=True))
    assert events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text


def test_tools_are_passed_and_calls_come_back(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=CHAT_MODEL, messages=USE_TOOL,
                                            tools=[WEATHER_TOOL])
    calls = answer.choices[0].message.tool_calls
    assert calls and calls[0].function.name == "get_weather"
    assert answer.choices[0].finish_reason == "tool_calls"


def test_an_image_of_5_mb_passes(client: openai.OpenAI, large_image: bytes) -> None:
    url = "data:image/png;base64," + base64.b64encode(large_image).decode()
    content = [{"type": "text", "text": "What is this?"},
               {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(
        model=CHAT_MODEL, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].finish_reason == "stop"


def test_leaving_a_stream_cancels_it_at_the_instance(fleet: Fleet, client: openai.OpenAI) -> None:
    before = fleet.total("cancelled")
    stream = client.chat.completions.create(model=CHAT_MODEL, messages=HELLO, stream=True,
                                            max_tokens=100_000)
    for _, chunk in zip(range(3), stream):
        assert not chunk.choices[0].finish_reason
    stream.close()
    wait_until(lambda: fleet.total("cancelled") == before + 1, "the instance saw the client leave")


def test_models_are_listed_and_retrieved(client: openai.OpenAI) -> None:
    assert {CHAT_MODEL, EMBED_MODEL} == {model.id for model in client.models.list()}
    assert client.models.retrieve(CHAT_MODEL).id == CHAT_MODEL


def test_an_unknown_model_is_a_not_found_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.chat.completions.create(model="no-such-model", messages=HELLO, stream=True)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_a_bad_request_is_a_bad_request_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="", messages=HELLO)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=CHAT_MODEL, messages=[])


@pytest.mark.parametrize("kind", BREAKS)
def test_a_stream_that_breaks_raises(fleet: Fleet, client: openai.OpenAI, kind: str) -> None:
    for fake in fleet.fakes:
        fake.fault(kind, after_tokens=3)
    chunks = 0
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=CHAT_MODEL, messages=HELLO, stream=True):
            chunks += 1
    assert chunks >= 3


@pytest.mark.parametrize("kind", BREAKS)
def test_a_responses_stream_that_breaks_raises(fleet: Fleet, client: openai.OpenAI,
                                               kind: str) -> None:
    for fake in fleet.fakes:
        fake.fault(kind, after_tokens=3)
    with pytest.raises(openai.APIError):
        list(client.responses.create(model=CHAT_MODEL, input="Why?", stream=True))


def test_killing_the_instance_in_mid_stream_raises(fleet: Fleet, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model=CHAT_MODEL, messages=HELLO, stream=True,
                                            max_tokens=100_000)
    next(stream)
    fleet.working().kill()
    with pytest.raises(openai.APIError):
        for chunk in stream:
            assert not chunk.choices[0].finish_reason
    assert client.chat.completions.create(model=CHAT_MODEL, messages=HELLO).choices


def test_a_failure_everywhere_is_not_repeated_by_the_client(fleet: Fleet) -> None:
    for fake in fleet.fakes:
        fake.fault("error500", variant="runner_stopped", count=1000)
    with (openai.OpenAI(base_url=f"{fleet.url}/v1", api_key="unused", max_retries=2) as client,
          pytest.raises(openai.InternalServerError)):
        client.chat.completions.create(model=CHAT_MODEL, messages=HELLO)
    # Three tries, and a load that drover orders itself.
    assert fleet.total("faults_taken") <= 4


def test_an_error_before_the_first_token_is_never_seen(fleet: Fleet,
                                                       client: openai.OpenAI) -> None:
    fleet.fakes[0].fault("error500", variant="runner_stopped")
    for _ in range(2):
        assert client.chat.completions.create(model=CHAT_MODEL, messages=HELLO).choices
