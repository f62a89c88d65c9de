// AG-UI's client over a wire that is cut: it requests the same run again.
import { HttpAgent } from "@ag-ui/client";
import { failed, given, run } from "./cutting.mjs";

await run(async (number) => {
  for (;;) {
    const agent = new HttpAgent({
      url: `${given.url}/api/ag-ui`,
      threadId: `cut ${number}`,
      initialMessages: [{ id: "q", role: "user", content: "Hi" }],
    });
    try {
      let last;
      await agent.runAgent({ runId: "r" }, { onEvent: ({ event }) => void (last = event) });
      if (last?.type !== "RUN_FINISHED") throw new Error("the stream ended early");
      return agent.messages
        .slice(1)
        .map((message) => message.content)
        .join("");
    } catch (error) {
      await failed(error);
    }
  }
});
