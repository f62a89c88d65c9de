// AG-UI's client shares its state with a handler, and opens a thread that another client has asked in.
import { HttpAgent } from "@ag-ui/client";

const { url } = JSON.parse(process.argv[2]);
const api = { url: `${url}/api/ag-ui`, threadId: "shared" };
const seen = { states: [], types: [] };
const count = { forwardedProps: { model: "count" } };

async function run(agent, given = count) {
  const types = new Set();
  seen.refused = null;
  const onRunErrorEvent = ({ event }) => void (seen.refused = event.message);
  await agent.runAgent(given, {
    onRunErrorEvent,
    onEvent: ({ event }) => void types.add(event.type),
  });
  seen.states.push(structuredClone(agent.state));
  seen.types.push([...types]);
}
const user = (id, content) => ({ id, role: "user", content });

const agent = new HttpAgent({ ...api, initialMessages: [user("u1", "one")] });
await run(agent);
agent.setState({ ...agent.state, colour: "blue" });
agent.addMessage(user("u2", "two"));
await run(agent);

const other = new HttpAgent(api);
await run(other, {});
seen.opened = structuredClone(other.messages);
seen.own = agent.messages;
other.addMessage(user("u3", "three"));
await run(other);
seen.answers = other.messages.filter((one) => one.role === "assistant").map((one) => one.content);

// the first question again, by the id that the server has shown
const back = new HttpAgent({ ...api, initialMessages: seen.opened.slice(0, 1) });
await run(back);
seen.same = back.messages.at(-1).id;

const wrong = new HttpAgent({ ...api, threadId: "wrong", initialState: { asked: "no number" } });
wrong.addMessage(user("w", "one"));
await run(wrong);
const none = new HttpAgent({ ...api, threadId: "not asked in" });
seen.unknown = await none.runAgent().then(String, (error) => error.message);
console.log(JSON.stringify(seen));
process.exit(0);
