// The official `ollama` package for JavaScript, as it is, against drover.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Ollama } from "ollama";

import { chatModel, clearFaults, embedModel, fault, total, until, url } from "./fleet.mjs";

const client = new Ollama({ host: url });
const hello = () => [{ role: "user", content: "Why is the sky blue?" }];
// The simulated models call a tool when the question says so.
const useTool = [{ role: "user", content: "Call the tool: how is the weather in Oslo?" }];
const tool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

beforeEach(clearFaults);

test("chat answers in one document", async () => {
  const answer = await client.chat({ model: chatModel, messages: hello() });
  assert.equal(answer.done, true);
  assert.ok(answer.message.content);
});

test("chat streams the same words until done", async () => {
  const parts = await collect(
    await client.chat({ model: chatModel, messages: hello(), stream: true }),
  );
  assert.equal(parts.at(-1).done, true);
  const whole = await client.chat({ model: chatModel, messages: hello() });
  assert.equal(parts.map((part) => part.message.content).join(""), whole.message.content);
});

test("generate answers and streams", async () => {
  const request = { model: chatModel, prompt: "echo: one two three" };
  const whole = await client.generate(request);
  assert.equal(whole.response.trim(), "one two three");
  const parts = await collect(await client.generate({ ...request, stream: true }));
  assert.equal(parts.map((part) => part.response).join(""), whole.response);
});

test("embed takes one text and many", async () => {
  const one = await client.embed({ model: embedModel, input: "first" });
  const many = await client.embed({ model: embedModel, input: ["first", "second"] });
  assert.equal(many.embeddings.length, 2);
  assert.deepEqual(one.embeddings[0], many.embeddings[0]);
});

test("tool calls come back, whole and in a stream", async () => {
  const request = { model: chatModel, messages: useTool, tools: [tool] };
  const whole = await client.chat(request);
  assert.equal(whole.message.tool_calls[0].function.name, "get_weather");
  const parts = await collect(await client.chat({ ...request, stream: true }));
  const calls = parts.flatMap((part) => part.message.tool_calls ?? []);
  assert.deepEqual(calls.map((call) => call.function.name), ["get_weather"]);
});

test("an image of 5 MB passes", async () => {
  const image = Buffer.alloc(5_000_000, "pixel").toString("base64");
  const message = { role: "user", content: "What is this?", images: [image] };
  const answer = await client.chat({ model: chatModel, messages: [message] });
  assert.equal(answer.done, true);
});

test("aborting a stream cancels it at the instance", async () => {
  const before = await total("cancelled");
  const stream = await client.generate({
    model: chatModel, prompt: "tell me all", stream: true, options: { num_predict: 100_000 },
  });
  await assert.rejects(async () => {
    for await (const part of stream) {
      assert.equal(part.done, false);
      stream.abort();
    }
  }, { name: "AbortError" });
  await until(async () => (await total("cancelled")) === before + 1, "the instance saw it leave");
});

test("list, ps, show and version tell about the fleet", async () => {
  await client.generate({ model: chatModel, prompt: "load" });
  const names = (await client.list()).models.map((model) => model.model);
  assert.deepEqual(names.sort(), [chatModel, embedModel].sort());
  await until(
    async () => (await client.ps()).models.some((model) => model.model === chatModel),
    "the loaded model is listed",
  );
  assert.ok((await client.show({ model: chatModel })).details);
  assert.match((await client.version()).version, /^\d+\.\d+/);
});

test("an unknown model is a ResponseError 404", async () => {
  const wrong = { name: "ResponseError", status_code: 404, message: /not found/ };
  await assert.rejects(client.chat({ model: "no-such-model", messages: hello() }), wrong);
  await assert.rejects(
    client.chat({ model: "no-such-model", messages: hello(), stream: true }), wrong,
  );
});

test("a bad request is a ResponseError 400", async () => {
  await assert.rejects(
    client.chat({ model: "", messages: hello() }), { name: "ResponseError", status_code: 400 },
  );
});

for (const kind of ["error_mid", "cut", "reset_mid"]) {
  test(`a stream that breaks throws (${kind})`, async () => {
    await fault(kind, { after_tokens: 3 });
    const seen = [];
    await assert.rejects(async () => {
      const stream = await client.generate({ model: chatModel, prompt: "go on", stream: true });
      for await (const part of stream) seen.push(part);
    });
    assert.equal(seen.length, 3);
    assert.ok(seen.every((part) => !part.done));
  });
}
