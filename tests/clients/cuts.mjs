// Reads answers until standard input receives a line, and counts them. Started by cuts.py.
import { Wireside } from "./wireside.mjs";
import process from "node:process";

const given = JSON.parse(process.argv[2]);
const WebSocket = globalThis.WebSocket ?? (await import(given.ws)).default;
const random = Math.random;
Math.random = () => random() / 20; // shortens the back-off: the test needs many cuts, not long waits
let isOver = false;
process.stdin.on("data", () => (isOver = true));
const errors = [];
process.on("unhandledRejection", (error) => errors.push(`unhandled: ${error}`));
let [answers, connections, pieces, wrong] = [0, 0, 0, 0];
const say = (last) =>
  console.log(JSON.stringify({ answers, connections, pieces, wrong, errors, last }));

async function read(answer) {
  let text = "";
  for await (const piece of answer) {
    text += piece;
    pieces++;
  }
  answers++;
  if (text !== given.expected || text !== (await answer.text) || answer.reason !== "stop") {
    wrong++;
    errors.push(`${answer.reason} ${text.length} of ${given.expected.length}`);
  }
}

async function talk(kind) {
  const chat = new Wireside(given.url, {
    WebSocket,
    pingMs: 1000,
    timeoutMs: 5000,
    onState: (state) => {
      if (state === "connected") connections++;
    },
  });
  while (!isOver) {
    try {
      if (kind === "batch") for (const answer of chat.batch(["Hi", "Hi"])) await read(answer);
      else if (kind === "parallel")
        for await (const answer of chat.batch(Array(4).fill("Hi"), { parallel: 4 }))
          await read(answer);
      else if (kind === "many")
        await Promise.all(Array.from({ length: 4 }, () => read(chat.ask("Hi"))));
      else await read(chat.ask("Hi", kind === "stored" ? { conversation: "new" } : {}));
    } catch (error) {
      errors.push(`${kind}: ${error.code ?? ""} ${error.message}`);
      wrong++;
    }
  }
  chat.close();
}

const timer = setInterval(() => say(false), 1000);
await Promise.all(given.kinds.map(talk));
clearInterval(timer);
say(true);
process.exit(0);
