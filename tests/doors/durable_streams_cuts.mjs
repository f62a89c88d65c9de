// The client of Durable Streams over a wire that is cut: it resumes at its last offset.
import { stream } from "@durable-streams/client";
import { failed, given, run } from "./cutting.mjs";

await run(async (number) => {
  const messages = [{ id: "q", role: "user", parts: [{ type: "text", text: "Hi" }] }];
  const asking = await fetch(`${given.server}/api/ai-sdk/chat`, {
    method: "POST",
    body: JSON.stringify({ id: `cut ${number}`, messages }),
  });
  const decoder = new TextDecoder();
  const reader = asking.body.getReader();
  let start = "";
  while (!start.includes("\n")) start += decoder.decode((await reader.read()).value);
  reader.cancel().catch(() => {});
  const name = JSON.parse(start.split("\n")[0].slice(6)).messageId;
  const url = `${given.url}/api/streams/${name}`;
  const live = number % 2 ? "sse" : "long-poll";
  let text = "";
  let offset;
  const isComplete = async () => {
    const { headers } = await fetch(`${given.server}/api/streams/${name}`, { method: "HEAD" });
    return headers.has("Stream-Closed") && headers.get("Stream-Next-Offset") === offset;
  };
  while (!(await isComplete())) {
    try {
      const backoffOptions = { maxRetries: 0, initialDelay: 1, maxDelay: 1, multiplier: 1 };
      const response = await stream({ url, live, offset, backoffOptions });
      response.subscribeText(async (chunk) => {
        // Events that end between a text and its offset are delivered without a new offset, and
        // again by the next connection.
        if (chunk.offset === (offset ?? "-1")) return;
        text += chunk.text;
        offset = chunk.offset;
      });
      await response.closed;
    } catch (error) {
      await failed(error);
    }
  }
  return text;
});
