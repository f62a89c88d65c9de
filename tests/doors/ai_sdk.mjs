// The AI SDK's clients against the door, over WebSocket and over SSE. Prints what each has read.
import { DefaultChatTransport, WebSocketChatTransport, readUIMessageStream } from "ai";
import WebSocket from "ws";

const { url, transport: kind } = JSON.parse(process.argv[2]);
const sockets = [];
class Socket extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.push(this);
  }
}
const transport =
  kind === "ws"
    ? new WebSocketChatTransport({ url: `${url}/ws/ai-sdk`, webSocket: Socket })
    : new DefaultChatTransport({ api: `${url}/api/ai-sdk/chat` });

let ids = 0;
const user = (text, id = `u${++ids}`, files = []) => ({
  id,
  role: "user",
  parts: [...files, { type: "text", text }],
});
const ask = (chatId, messages, more = {}) =>
  transport.sendMessages({
    trigger: "submit-message",
    chatId: `${kind} ${chatId}`,
    messageId: undefined,
    messages: Array.isArray(messages) ? messages : [user(messages)],
    ...more,
  });
const textOf = (message) =>
  message.parts
    .filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("");
async function read(stream, { until = () => false } = {}) {
  let last, error;
  try {
    for await (last of readUIMessageStream({ stream, terminateOnError: true }))
      if (until(last)) break;
  } catch (failure) {
    error = failure.message;
  }
  return { message: structuredClone(last), text: last ? textOf(last) : "", error };
}
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const seen = {};
seen.text = await read(await ask("text", "/lab tokens 60 0 4"));
seen.reasoning = await read(await ask("reasoning", "/lab reasoning"));
seen.parts = await read(await ask("parts", "/lab parts"));
seen.error = await read(await ask("error", "/lab error"));
try {
  seen.status = await read(await ask("status", "/lab status 429 12"));
} catch (failure) {
  seen.status = { error: failure.message };
}

// a question that is sent again
const repeated = user("/lab tokens 20 0 5");
const first = await read(await ask("again", [repeated]));
const second = await read(await ask("again", [repeated]));
seen.repeated = { first, second };

// a second turn, an edit and a retry
const one = user("/lab say one");
const a = await read(await ask("turns", [one]));
const two = user("/lab say two");
const b = await read(await ask("turns", [one, a.message, two]));
const changed = user("/lab say three", two.id);
const c = await read(await ask("turns", [one, a.message, changed], { messageId: two.id }));
const again = { trigger: "regenerate-message", messageId: c.message.id };
const d = await read(await ask("turns", [one, a.message, changed], again));
const e = await read(await ask("turns", [one, a.message, changed], again));
seen.turns = { a, b, c, d, e };

// cut in the middle, and replayed
const stream = await ask("cut", "/lab tokens 200 100 9");
const before = await read(stream, {
  until: (message) => {
    if (textOf(message).length < 300) return false;
    if (kind === "ws") sockets.at(-1).terminate();
    return kind !== "ws"; // leaving the loop closes the response
  },
});
const replay = await transport.reconnectToStream({ chatId: `${kind} cut` });
const after = await read(replay);
const whole = await read(await ask("whole", "/lab tokens 200 0 9"));
seen.cut = { before, after, whole };
seen.none = (await transport.reconnectToStream({ chatId: "none" })) === null;

// stopped
const stop = new AbortController();
const endless = read(await ask("stop", "/lab endless 50", { abortSignal: stop.signal }));
await pause(400);
if (kind === "ws") stop.abort();
else await fetch(`${url}/api/ai-sdk/chat/sse%20stop/stream`, { method: "DELETE" });
seen.stopped = await endless;

// two at once
const [x, y] = await Promise.all([
  ask("x", "/lab tokens 60 60 1").then(read),
  ask("y", "/lab tokens 60 60 2").then(read),
]);
seen.both = { x, y };

// a file, a model, and messages that the server does not have
const picture = user("/lab say a picture", "p1", [
  {
    type: "file",
    mediaType: "text/plain",
    url: "data:text/plain;base64,aGVsbG8=",
    filename: "a.txt",
  },
]);
seen.file = await read(await ask("file", [picture]));
const answer = { id: "x", role: "assistant", parts: [{ type: "text", text: "Blue." }] };
seen.history = await read(
  await ask("history", [user("My colour?"), answer, user("/lab say remembered")]),
);
try {
  seen.model = await read(await ask("model", "/lab say no", { body: { model: "no-such-model" } }));
} catch (failure) {
  seen.model = { error: failure.message };
}
transport.close?.();
console.log(JSON.stringify(seen));
process.exit(0);
