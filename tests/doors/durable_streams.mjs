// The client of Durable Streams against the door. Prints what it has read.
import { stream } from "@durable-streams/client";

const { url, chat } = JSON.parse(process.argv[2]);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

let asked = 0;
async function ask(text) {
  const messages = [{ id: "q", role: "user", parts: [{ type: "text", text }] }];
  const response = await fetch(`${url}/api/ai-sdk/chat`, {
    method: "POST",
    body: JSON.stringify({ id: `${chat} ${++asked}`, messages }),
  });
  const reader = response.body.getReader();
  const { value } = await reader.read();
  reader.cancel();
  const name = JSON.parse(new TextDecoder().decode(value).split("\n")[0].slice(6)).messageId;
  return `${url}/api/streams/${name}`;
}

/** Read live until the end, or until `most` characters. */
async function follow(address, live, { offset, most = Infinity } = {}) {
  const controller = new AbortController();
  let text = "";
  const response = await stream({ url: address, live, offset, signal: controller.signal });
  await new Promise((done) => {
    response.subscribeText(async (chunk) => {
      if (text.length > most) return;
      text += chunk.text;
      offset = chunk.offset;
      if (text.length > most) {
        controller.abort();
        done();
      }
    });
    response.closed.then(done, done);
  });
  return { text, offset };
}

const seen = {};
for (const live of ["sse", "long-poll"]) {
  const address = await ask("/lab tokens 120 80 11");
  const first = await follow(address, live, { most: 200 });
  await pause(300);
  const rest = await follow(address, live, { offset: first.offset });
  const whole = await (await stream({ url: address, live: false })).text();
  const values = await (
    await stream({ url: address, live: false, params: { format: "json" } })
  ).json();
  seen[live] = { first: first.text, rest: rest.text, whole, values };
}
const parts = await ask("/lab parts");
await follow(parts, "sse"); // to its end
seen.parts = await (await stream({ url: parts, live: false, params: { format: "json" } })).json();
seen.text = await (await stream({ url: parts, live: false })).text();
seen.address = parts;
console.log(JSON.stringify(seen));
process.exit(0);
