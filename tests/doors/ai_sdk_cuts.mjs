// The AI SDK's clients over a wire that is cut: each sends its question again, or resumes.
import { DefaultChatTransport, WebSocketChatTransport, readUIMessageStream } from "ai";
import WebSocket from "ws";
import { failed, given, run } from "./cutting.mjs";

await run(async (number) => {
  const transport =
    number % 2
      ? new WebSocketChatTransport({ url: `${given.url}/ws/ai-sdk`, webSocket: WebSocket })
      : new DefaultChatTransport({ api: `${given.url}/api/ai-sdk/chat` });
  const chatId = `cut ${number}`;
  const messages = [{ id: "q", role: "user", parts: [{ type: "text", text: "Hi" }] }];
  const send = () =>
    transport.sendMessages({ trigger: "submit-message", chatId, messageId: undefined, messages });
  let id;
  for (let attempt = 0; ; attempt++) {
    try {
      const resumed = attempt % 2 ? await transport.reconnectToStream({ chatId }) : null;
      const stream = resumed ?? (await send());
      let last;
      for await (last of readUIMessageStream({ stream, terminateOnError: true }));
      if (!last?.metadata?.usage) throw new Error("the stream has no finish chunk");
      if (id && id !== last.id) throw new TypeError("another message id");
      id = last.id;
      transport.close?.();
      return last.parts
        .filter((part) => part.type === "text")
        .map((part) => part.text)
        .join("");
    } catch (error) {
      await failed(error);
    }
  }
});
