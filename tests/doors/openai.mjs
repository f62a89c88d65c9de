// Uses the openai package for JavaScript; prints what it got as JSON. Called by test_openai_javascript.py.

import assert from "node:assert/strict";
import OpenAI from "openai";

const { url, image, passedOn } = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const model = "gpt-4o";
const say = (content) => [{ role: "user", content }];
const parameters = { type: "object", properties: { city: { type: "string" } } };
const found = {};

// streamed, with usage
let text = "";
let usage = null;
const stream = await client.chat.completions.create({
  model,
  messages: say("/lab tokens 60"),
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
found.streamed = text;
found.usage = usage.total_tokens;

// whole, with an image, and parameters for the model service
const whole = await client.chat.completions.create({
  ...passedOn,
  model,
  messages: say([
    { type: "text", text: "What is it?" },
    { type: "image_url", image_url: { url: image } },
  ]),
});
found.whole = whole.choices[0].message.content;

// the package runs the tool by itself
const runner = client.chat.completions.runTools(
  {
    model,
    messages: say("/lab tool"),
    tools: [
      {
        type: "function",
        function: {
          name: "weather",
          parse: JSON.parse,
          function: ({ city }) => ((found.city = city), "12 degrees"),
          parameters,
        },
      },
    ],
  },
  { maxChatCompletions: 2 },
);
runner.on("error", () => {}); // the lab requests the tool each time
await runner.done().catch(() => {});
found.result = runner.messages.find((message) => message.role === "tool")?.content;

// errors
const refused = async (work, Kind) => {
  await assert.rejects(work, (error) => error instanceof Kind);
};
await refused(
  client.chat.completions.create({ model: "none", messages: say("Hi") }),
  OpenAI.NotFoundError,
);
await refused(
  client.chat.completions.create({ model, messages: say("Hi"), n: 2 }),
  OpenAI.BadRequestError,
);
await refused(
  client.chat.completions.create({ model, messages: say("/lab status 401") }),
  OpenAI.InternalServerError,
);

// stopped by the client
const endless = await client.chat.completions.create({
  model,
  messages: say("/lab endless 50"),
  stream: true,
});
for await (const chunk of endless) {
  if (chunk.choices[0].delta.content) {
    break; // aborts the request
  }
}

// responses
const events = [];
for await (const event of await client.responses.create({
  model,
  input: "/lab parts",
  stream: true,
})) {
  events.push(event);
}
const last = events.at(-1);
found.last = last.type;
found.kinds = last.response.output.map((item) => item.type);
const middle = events[Math.floor(events.length / 2)].sequence_number;
const rest = [];
for await (const event of await client.responses.retrieve(last.response.id, {
  stream: true,
  starting_after: middle,
})) {
  rest.push(event);
}
const deltas = (some) =>
  some
    .filter((event) => event.type === "response.output_text.delta")
    .map((event) => event.delta)
    .join("");
const seen = events.filter((event) => event.sequence_number <= middle);
found.resumed = deltas(seen) + deltas(rest) === deltas(events);
const accumulated = await client.responses
  .stream({ model, input: "/lab tokens 60" })
  .finalResponse();
found.accumulated = accumulated.output_text;
const background = await client.responses.create({
  model,
  input: "/lab endless 50",
  background: true,
});
found.cancelled = (await client.responses.cancel(background.id)).status;
const next = await client.responses.create({
  model,
  input: "/lab say next",
  previous_response_id: last.response.id,
});
found.next = next.output_text;
found.models = [];
for await (const one of client.models.list()) {
  found.models.push(one.id);
}
console.log(JSON.stringify(found));
