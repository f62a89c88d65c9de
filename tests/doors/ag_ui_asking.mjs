// AG-UI's client against a handler that asks questions: interrupts and their answers.
import { HttpAgent, buildResumeArray } from "@ag-ui/client";

const { url } = JSON.parse(process.argv[2]);
const seen = { runs: [] };

async function run(agent, resume) {
  const events = [];
  await agent.runAgent(resume ? { resume } : {}, {
    onEvent: ({ event }) => void events.push(structuredClone(event)),
  });
  seen.runs.push(events);
}
const answers = (agent, answer) =>
  buildResumeArray(agent.pendingInterrupts, { [agent.pendingInterrupts[0].id]: answer });

const agent = new HttpAgent({
  url: `${url}/api/ag-ui`,
  threadId: "asks",
  initialMessages: [{ id: "u1", role: "user", content: "go" }],
});
await run(agent);
await run(agent, answers(agent, { status: "resolved", payload: true }));
await run(agent, answers(agent, { status: "resolved", payload: "blue" }));
agent.addMessage({ id: "u2", role: "user", content: "go" });
await run(agent);
await run(agent, answers(agent, { status: "cancelled" }));
seen.messages = agent.messages;

// another client opens the thread
const other = new HttpAgent({ url: `${url}/api/ag-ui`, threadId: "asks" });
await other.runAgent();
seen.opened = other.messages;
console.log(JSON.stringify(seen));
process.exit(0);
