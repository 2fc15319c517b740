// OpenAI's client for Node, unmodified, as its documentation uses it; what came is told as JSON on one line.
const { createRequire } = require("node:module");

const [folder, baseURL, apiKey] = process.argv.slice(2);
const OpenAI = createRequire(`${folder}/`)("openai").OpenAI;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: "hello there" }];
const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
    },
  },
];

async function chat() {
  const answer = await client.chat.completions.create({ model: "mock", messages });
  return { text: answer.choices[0].message.content, usage: answer.usage };
}

async function stream() {
  const options = { model: "mock", messages, stream: true, stream_options: { include_usage: true } };
  const pieces = [];
  let usage = null;
  for await (const chunk of await client.chat.completions.create(options)) {
    pieces.push(...chunk.choices.map((choice) => choice.delta.content).filter(Boolean));
    usage = chunk.usage ?? usage;
  }
  return { pieces, usage };
}

// The helper that calls the tool, sends back what it gave, and streams both answers.
async function loop() {
  const called = [];
  const given = structuredClone(tools);
  Object.assign(given[0].function, {
    parse: JSON.parse,
    function: ({ place }) => called.push(place) && `rain at ${place}`,
  });
  const runner = client.chat.completions.runTools({ model: "mock-tool", messages, tools: given, stream: true });
  return { called, text: await runner.finalContent() };
}

async function vectors() {
  const answer = await client.embeddings.create({ model: "mock-embedding", input: ["one two", "three"] });
  return { lengths: answer.data.map((one) => one.embedding.length), usage: answer.usage };
}

async function leave() {
  const question = [{ role: "user", content: "I shall leave." }];
  const asked = client.chat.completions.create({ model: "mock-tokens-300-20", messages: question, stream: true });
  const { data: answer, request_id } = await asked.withResponse();
  for await (const _chunk of answer) {
    answer.controller.abort();
  }
  return request_id;
}

async function refused(model, key) {
  try {
    await client.withOptions({ apiKey: key }).chat.completions.create({ model, messages });
    return null;
  } catch (error) {
    return { type: error.constructor.name, status: error.status, code: error.code };
  }
}

async function names() {
  const found = [];
  for await (const model of client.models.list()) found.push(model.id);
  return found;
}

async function main() {
  const told = {
    chat: await chat(),
    stream: await stream(),
    loop: await loop(),
    vectors: await vectors(),
    left: await leave(),
    names: await names(),
    unknown: await refused("none-such", apiKey),
    stranger: await refused("mock", "atr_wrong"),
  };
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

main();
