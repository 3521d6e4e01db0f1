"""The official `ollama` package for Python, as it is, against drover."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import ollama
import pytest

from fleet import CHAT_MODEL, EMBED_MODEL, Fleet, wait_until

HELLO = [{"role": "user", "content": "Why is the sky blue?"}]
# The simulated models call a tool when the question says so.
USE_TOOL = [{"role": "user", "content": "Call the tool: how is the weather in Oslo?"}]
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
def client(fleet: Fleet) -> Iterator[ollama.Client]:
    with ollama.Client(host=fleet.url) as client:
        yield client


def test_chat_answers_in_one_document(client: ollama.Client) -> None:
    answer = client.chat(CHAT_MODEL, HELLO)
    assert answer.done and answer.done_reason == "stop"
    assert answer.message.role == "assistant" and answer.message.content
    assert answer.eval_count and answer.total_duration


def test_chat_streams_the_same_words_until_done(client: ollama.Client) -> None:
    parts = list(client.chat(CHAT_MODEL, HELLO, stream=True))
    assert len(parts) > 3 and parts[-1].done and not any(part.done for part in parts[:-1])
    text = "".join(part.message.content or "" for part in parts)
    assert text == client.chat(CHAT_MODEL, HELLO).message.content


def test_generate_answers_in_one_document(client: ollama.Client) -> None:
    answer = client.generate(CHAT_MODEL, "echo: one two three")
    assert answer.done and answer.response.split() == ["one", "two", "three"]


def test_generate_streams_until_done(client: ollama.Client) -> None:
    parts = list(client.generate(CHAT_MODEL, "echo: one two three", stream=True))
    assert parts[-1].done
    assert "".join(part.response for part in parts).split() == ["one", "two", "three"]


def test_generate_obeys_num_predict(client: ollama.Client) -> None:
    answer = client.generate(CHAT_MODEL, "count", options={"num_predict": 5})
    assert answer.eval_count == 5 and answer.done_reason == "length"


def test_an_empty_prompt_loads_the_model_in_one_document(client: ollama.Client) -> None:
    parts = list(client.generate(CHAT_MODEL, stream=True))
    assert [part.done_reason for part in parts] == ["load"]


def test_embed_takes_one_text_and_many(client: ollama.Client) -> None:
    one = client.embed(EMBED_MODEL, "first")
    many = client.embed(EMBED_MODEL, ["first", "second"])
    assert len(many.embeddings) == 2
    assert list(one.embeddings[0]) == list(many.embeddings[0]) != list(many.embeddings[1])


def test_the_old_embeddings_call_works(client: ollama.Client) -> None:
    assert len(client.embeddings(EMBED_MODEL, "first").embedding) > 3


def test_tools_are_passed_and_calls_come_back(client: ollama.Client) -> None:
    answer = client.chat(CHAT_MODEL, USE_TOOL, tools=[WEATHER_TOOL])
    assert answer.done
    assert answer.message.tool_calls
    assert answer.message.tool_calls[0].function.name == "get_weather"


def test_tool_calls_come_back_in_a_stream(client: ollama.Client) -> None:
    parts = list(client.chat(CHAT_MODEL, USE_TOOL, tools=[WEATHER_TOOL], stream=True))
    calls = [call for part in parts for call in part.message.tool_calls or []]
    assert [call.function.name for call in calls] == ["get_weather"]


def test_an_image_of_5_mb_passes(client: ollama.Client, large_image: bytes) -> None:
    message = {"role": "user", "content": "What is this?", "images": [large_image]}
    assert client.chat(CHAT_MODEL, [message]).done
    assert client.generate(CHAT_MODEL, "What is this?", images=[large_image]).done


def test_leaving_a_stream_cancels_it_at_the_instance(fleet: Fleet, client: ollama.Client) -> None:
    before = fleet.total("cancelled")
    stream = client.generate(CHAT_MODEL, "tell me all", stream=True,
                             options={"num_predict": 100_000})
    for _, part in zip(range(2), stream):
        assert not part.done
    stream.close()
    wait_until(lambda: fleet.total("cancelled") == before + 1, "the instance saw the client leave")
    wait_until(lambda: fleet.total("running") == 0, "the slot is free")


def test_list_ps_and_show_tell_about_the_models(client: ollama.Client) -> None:
    client.generate(CHAT_MODEL, "load")
    assert {CHAT_MODEL, EMBED_MODEL} == {model.model for model in client.list().models}
    wait_until(lambda: CHAT_MODEL in [model.model for model in client.ps().models],
               "the loaded model is listed")
    assert client.show(CHAT_MODEL).details


def test_an_unknown_model_is_a_response_error_404(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match=r"no-such-model.*not found") as caught:
        client.chat("no-such-model", HELLO)
    assert caught.value.status_code == 404


def test_an_unknown_model_is_a_response_error_when_streaming(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="not found") as caught:
        list(client.generate("no-such-model", "x", stream=True))
    assert caught.value.status_code == 404


def test_showing_an_unknown_model_is_a_404_that_lets_a_client_pull(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.show("no-such-model")
    assert caught.value.status_code == 404


def test_a_bad_request_is_a_response_error_400(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.embed(CHAT_MODEL, "text", keep_alive="-1")
    assert caught.value.status_code == 400


def test_an_error_record_in_a_stream_raises(fleet: Fleet, client: ollama.Client) -> None:
    for fake in fleet.fakes:
        fake.fault("error_mid", after_tokens=3)
    seen: list[str] = []
    with pytest.raises(ollama.ResponseError, match="error was encountered"):
        for part in client.generate(CHAT_MODEL, "go on", stream=True):
            seen.append(part.response)
    assert len(seen) == 3


@pytest.mark.parametrize("kind", ["cut", "cut_raw", "reset_mid"])
def test_a_stream_cut_by_its_instance_raises(fleet: Fleet, client: ollama.Client,
                                             kind: str) -> None:
    for fake in fleet.fakes:
        fake.fault(kind, after_tokens=3)
    seen: list[str] = []
    with pytest.raises(ollama.ResponseError):
        for part in client.chat(CHAT_MODEL, HELLO, stream=True):
            seen.append(part.message.content or "")
    assert len(seen) == 3


def test_killing_the_instance_in_mid_stream_raises(fleet: Fleet, client: ollama.Client) -> None:
    stream = client.chat(CHAT_MODEL, HELLO, stream=True, options={"num_predict": 100_000})
    assert not next(stream).done
    fleet.working().kill()
    with pytest.raises(ollama.ResponseError):
        for part in stream:
            assert not part.done
    assert client.chat(CHAT_MODEL, HELLO).done


def test_models_are_pulled_copied_created_and_deleted(client: ollama.Client) -> None:
    progress = list(client.pull("qwen3:0.6b", stream=True))
    assert progress[0].status == "pulling manifest" and progress[-1].status == "success"
    assert client.pull("qwen3:0.6b").status == "success"
    assert client.copy("qwen3:0.6b", "twin").status == "success"
    assert client.create("third", from_="twin").status == "success"
    mine = {"qwen3:0.6b", "twin:latest", "third:latest"}
    assert mine <= {model.model for model in client.list().models}
    for name in mine:
        assert client.delete(name).status == "success"
    assert not mine & {model.model for model in client.list().models}


def test_deleting_and_pulling_what_is_nowhere_raises(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="not found") as caught:
        client.delete("nosuch")
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        client.pull("missing")
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        list(client.pull("missing", stream=True))


def test_twenty_at_once_through_the_async_client(fleet: Fleet) -> None:
    async def ask(client: ollama.AsyncClient, number: int) -> str:
        answer = await client.generate(CHAT_MODEL, f"echo: number {number}")
        return answer.response.strip()

    async def all_of_them() -> list[str]:
        async with ollama.AsyncClient(host=fleet.url) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(20)))

    assert asyncio.run(all_of_them()) == [f"number {number}" for number in range(20)]


def test_cancelling_an_async_stream_cancels_it_at_the_instance(fleet: Fleet) -> None:
    before = fleet.total("cancelled")

    async def leave() -> None:
        async with ollama.AsyncClient(host=fleet.url) as client:
            stream = await client.chat(CHAT_MODEL, HELLO, stream=True,
                                       options={"num_predict": 100_000})
            async for _ in stream:
                break
            await stream.aclose()

    asyncio.run(leave())
    wait_until(lambda: fleet.total("cancelled") == before + 1, "the instance saw the client leave")
