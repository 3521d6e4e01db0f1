"""The official `anthropic` package for Python, as it is, against drover."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import anthropic
import pytest

from fleet import CHAT_MODEL, Fleet, wait_until

HELLO = [{"role": "user", "content": "Why is the sky blue?"}]
# The simulated models call a tool when the question says so.
USE_TOOL = [{"role": "user", "content": "Call the tool: how is the weather in Oslo?"}]
WEATHER_TOOL = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}},
                     "required": ["city"]},
}


@pytest.fixture
def client(fleet: Fleet) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=fleet.url, api_key="unused", max_retries=0) as client:
        yield client


def test_messages_answer_in_one_document(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model=CHAT_MODEL, max_tokens=200, messages=HELLO)
    assert answer.type == "message" and answer.stop_reason == "end_turn"
    assert answer.content[0].type == "text" and answer.content[0].text
    assert answer.usage.output_tokens > 0


def test_messages_stream_the_same_words_until_stop(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(model=CHAT_MODEL, max_tokens=200, messages=HELLO)
    with client.messages.stream(model=CHAT_MODEL, max_tokens=200, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.stop_reason == "end_turn"


def test_raw_events_end_with_message_stop(client: anthropic.Anthropic) -> None:
    events = list(client.messages.create(model=CHAT_MODEL, max_tokens=200, messages=HELLO,
                                         stream=True))
    assert events[0].type == "message_start" and events[-1].type == "message_stop"


def test_max_tokens_end_an_answer(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model=CHAT_MODEL, max_tokens=4, messages=HELLO)
    assert answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 4


def test_tools_are_passed_and_calls_come_back(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model=CHAT_MODEL, max_tokens=200, messages=USE_TOOL,
                                    tools=[WEATHER_TOOL])
    uses = [block for block in answer.content if block.type == "tool_use"]
    assert [use.name for use in uses] == ["get_weather"]
    assert answer.stop_reason == "tool_use"


def test_an_image_of_5_mb_passes(client: anthropic.Anthropic, large_image: bytes) -> None:
    source = {"type": "base64", "media_type": "image/png",
              "data": base64.b64encode(large_image).decode()}
    content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    answer = client.messages.create(model=CHAT_MODEL, max_tokens=200,
                                    messages=[{"role": "user", "content": content}])
    assert answer.stop_reason == "end_turn"


def test_leaving_a_stream_cancels_it_at_the_instance(fleet: Fleet,
                                                     client: anthropic.Anthropic) -> None:
    before = fleet.total("cancelled")
    with client.messages.stream(model=CHAT_MODEL, max_tokens=100_000, messages=HELLO) as stream:
        for _, text in zip(range(2), stream.text_stream):
            assert text
    wait_until(lambda: fleet.total("cancelled") == before + 1, "the instance saw the client leave")


def test_an_unknown_model_is_a_not_found_error(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="not found") as caught:
        client.messages.create(model="no-such-model", max_tokens=20, messages=HELLO)
    assert caught.value.type == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="no-such-model", max_tokens=20, messages=HELLO, stream=True)


def test_a_bad_request_is_a_bad_request_error(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=CHAT_MODEL, max_tokens=0, messages=HELLO)
    assert caught.value.type == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="", max_tokens=20, messages=HELLO)


@pytest.mark.parametrize("kind", ["error_mid", "cut", "cut_raw", "reset_mid"])
def test_a_stream_that_breaks_raises(fleet: Fleet, client: anthropic.Anthropic,
                                     kind: str) -> None:
    for fake in fleet.fakes:
        fake.fault(kind, after_tokens=3)
    seen = 0
    with pytest.raises(anthropic.APIStatusError):
        for event in client.messages.create(model=CHAT_MODEL, max_tokens=200, messages=HELLO,
                                            stream=True):
            seen += event.type == "content_block_delta"
    assert seen == 3


def test_killing_the_instance_in_mid_stream_raises(fleet: Fleet,
                                                   client: anthropic.Anthropic) -> None:
    stream = client.messages.create(model=CHAT_MODEL, max_tokens=100_000, messages=HELLO,
                                    stream=True)
    next(stream)
    fleet.working().kill()
    with pytest.raises(anthropic.APIStatusError):
        for event in stream:
            assert event.type != "message_stop"
    assert client.messages.create(model=CHAT_MODEL, max_tokens=20, messages=HELLO).content


def test_a_failure_everywhere_is_not_repeated_by_the_client(fleet: Fleet) -> None:
    for fake in fleet.fakes:
        fake.fault("error500", variant="runner_stopped", count=1000)
    with (anthropic.Anthropic(base_url=fleet.url, api_key="unused", max_retries=2) as client,
          pytest.raises(anthropic.APIStatusError) as caught):
        client.messages.create(model=CHAT_MODEL, max_tokens=20, messages=HELLO)
    assert caught.value.status_code >= 500
    # Three tries, and a load that drover orders itself.
    assert fleet.total("faults_taken") <= 4


def test_an_error_before_the_first_token_is_never_seen(fleet: Fleet,
                                                       client: anthropic.Anthropic) -> None:
    fleet.fakes[0].fault("error500", variant="runner_stopped")
    for _ in range(2):
        assert client.messages.create(model=CHAT_MODEL, max_tokens=20, messages=HELLO).content
