// The official `openai` package for JavaScript, as it is, against drover.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import OpenAI from "openai";

import { chatModel, clearFaults, embedModel, fault, total, until, url } from "./fleet.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "Why is the sky blue?" }];
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
  const answer = await client.chat.completions.create({ model: chatModel, messages });
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.choices[0].message.content);
});

test("chat streams the same words until done", async () => {
  const chunks = await collect(
    await client.chat.completions.create({ model: chatModel, messages, stream: true }),
  );
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  const whole = await client.chat.completions.create({ model: chatModel, messages });
  assert.equal(text, whole.choices[0].message.content);
});

test("completions answer", async () => {
  const answer = await client.completions.create({ model: chatModel, prompt: "echo: one two" });
  assert.equal(answer.choices[0].text.trim(), "one two");
});

test("embeddings come back for every text", async () => {
  const answer = await client.embeddings.create({ model: embedModel, input: ["first", "second"] });
  assert.equal(answer.data.length, 2);
  assert.ok(answer.data[0].embedding.length > 3);
});

test("tool calls come back", async () => {
  const answer = await client.chat.completions.create({ model: chatModel, messages: useTool, tools: [tool] });
  assert.equal(answer.choices[0].message.tool_calls[0].function.name, "get_weather");
});

test("an image of 5 MB passes", async () => {
  const image = `data:image/png;base64,${Buffer.alloc(5_000_000, "pixel").toString("base64")}`;
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: image } },
  ];
  const answer = await client.chat.completions.create({
    model: chatModel, messages: [{ role: "user", content }],
  });
  assert.equal(answer.choices[0].finish_reason, "stop");
});

test("aborting a stream cancels it at the instance", async () => {
  const before = await total("cancelled");
  const stream = await client.chat.completions.create({
    model: chatModel, messages, stream: true, max_tokens: 100_000,
  });
  for await (const chunk of stream) {
    assert.ok(!chunk.choices[0].finish_reason);
    stream.controller.abort();
  }
  await until(async () => (await total("cancelled")) === before + 1, "the instance saw it leave");
});

test("models are listed and retrieved", async () => {
  const names = (await collect(await client.models.list())).map((model) => model.id);
  assert.deepEqual(names.sort(), [chatModel, embedModel].sort());
  assert.equal((await client.models.retrieve(chatModel)).id, chatModel);
});

test("an unknown model is a NotFoundError", async () => {
  const request = { model: "no-such-model", messages };
  await assert.rejects(client.chat.completions.create(request), OpenAI.NotFoundError);
  await assert.rejects(
    client.chat.completions.create({ ...request, stream: true }), OpenAI.NotFoundError,
  );
});

test("a bad request is a BadRequestError", async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "", messages }), OpenAI.BadRequestError,
  );
});

for (const kind of ["error_mid", "cut", "reset_mid"]) {
  test(`a stream that breaks throws (${kind})`, async () => {
    await fault(kind, { after_tokens: 3 });
    const chunks = [];
    await assert.rejects(async () => {
      const stream = await client.chat.completions.create({
        model: chatModel, messages, stream: true,
      });
      for await (const chunk of stream) chunks.push(chunk);
    }, OpenAI.APIError);
    assert.ok(chunks.length >= 3);
    assert.ok(chunks.every((chunk) => !chunk.choices[0]?.finish_reason));
  });
}
