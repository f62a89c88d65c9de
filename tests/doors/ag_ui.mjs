// AG-UI's client, with its verifier on, against the door. Prints what it has read.
import { HttpAgent } from "@ag-ui/client";

const { url } = JSON.parse(process.argv[2]);
const api = `${url}/api/ag-ui`;
const seen = {};
let ids = 0;
const user = (content) => ({ id: `u${++ids}`, role: "user", content });

async function run(agent, given = {}, onText = () => {}) {
  const events = [];
  let error;
  try {
    await agent.runAgent(given, {
      onEvent: ({ event }) => {
        events.push(structuredClone(event));
        if (event.type === "TEXT_MESSAGE_CONTENT") onText();
      },
    });
  } catch (failure) {
    error = failure.message;
  }
  const text = events
    .filter((event) => event.type === "TEXT_MESSAGE_CONTENT")
    .map((event) => event.delta)
    .join("");
  return {
    types: [...new Set(events.map((event) => event.type))],
    text,
    error,
    last: events.at(-1),
    messages: structuredClone(agent.messages),
    stream: events.find((event) => event.name === "wireside")?.value.stream,
  };
}
const agentOf = (threadId, content, more = {}) =>
  new HttpAgent({ url: api, threadId, initialMessages: [user(content)], ...more });

seen.text = await run(agentOf("text", "/lab tokens 60 0 4"));
seen.reasoning = await run(agentOf("reasoning", "/lab reasoning"));
seen.parts = await run(agentOf("parts", "/lab parts"));
seen.error = await run(agentOf("error", "/lab error"));
seen.model = await run(agentOf("model", "/lab say no"), { forwardedProps: { model: "nothing" } });

// the same run again, a new run for the same question, and a second turn
const agent = agentOf("turns", "/lab tokens 20 0 5");
const first = await run(agent, { runId: "r1" });
const asked = agent.messages.slice(0, 1);
const copy = () => new HttpAgent({ url: api, threadId: "turns", initialMessages: asked });
const same = await run(copy(), { runId: "r1" });
const again = await run(copy(), { runId: "r2" });
const sameAgain = await run(copy(), { runId: "r2" });
agent.addMessage(user("/lab say second"));
const second = await run(agent, { context: [{ description: "Weather", value: "rain" }] });
seen.turns = { first, same, again, sameAgain, second };

// messages that the server does not have, and a file
const history = new HttpAgent({
  url: api,
  threadId: "history",
  initialMessages: [
    user("My colour?"),
    { id: "a", role: "assistant", content: "Blue." },
    user([
      { type: "text", text: "/lab say remembered" },
      { type: "document", source: { type: "data", value: "aGVsbG8=", mimeType: "text/plain" } },
    ]),
  ],
});
seen.history = await run(history);

// a tool that the client runs; its result is sent twice, as after a disconnect
const weather = {
  name: "weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } } },
};
const tooled = agentOf("tools", "/lab tool");
const requested = await run(tooled, { tools: [weather] });
const call =
  tooled.messages.at(-1).toolCalls?.[0] ??
  requested.messages.find((one) => one.toolCalls).toolCalls[0];
tooled.addMessage({ id: "result", role: "tool", toolCallId: call.id, content: "12 degrees" });
const withResult = structuredClone(tooled.messages);
const used = await run(tooled, { tools: [weather] });
const usedAgain = await run(
  new HttpAgent({ url: api, threadId: "tools", initialMessages: withResult }),
  { tools: [weather] },
);
const unknown = agentOf("tools", "x");
unknown.addMessage({ id: "no", role: "tool", toolCallId: "nothing", content: "x" });
const opened = await run(new HttpAgent({ url: api, threadId: "tools" }));
seen.tools = { call, requested, used, usedAgain, unknown: await run(unknown), opened };

// left in the middle, and run again: the answer has gone on
const leaving = agentOf("leaving", "/lab tokens 60 60 9");
let left;
await new Promise((begun) => (left = run(leaving, { runId: "l" }, begun)));
leaving.abortRun();
await left;
const back = new HttpAgent({
  url: api,
  threadId: "leaving",
  initialMessages: leaving.messages.slice(0, 1),
});
seen.back = await run(back, { runId: "l" });

// stopped
let endless;
await new Promise((begun) => (endless = run(agentOf("stop", "/lab endless 50"), {}, begun)));
seen.stopStatus = (await fetch(`${api}/stop`, { method: "DELETE" })).status;
seen.stopped = await endless;
console.log(JSON.stringify(seen));
process.exit(0);
