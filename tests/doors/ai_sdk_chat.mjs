// The state machine behind useChat against a handler that asks questions.
import {
  AbstractChat,
  DefaultChatTransport,
  WebSocketChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
} from "ai";
import WebSocket from "ws";

const { url, transport: kind } = JSON.parse(process.argv[2]);

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => this.messages.push(message);
  popMessage = () => this.messages.pop();
  replaceMessage = (index, message) => (this.messages[index] = structuredClone(message));
  snapshot = (value) => structuredClone(value);
}
class Chat extends AbstractChat {
  constructor(given) {
    super({ ...given, state: new State() });
  }
}
const transport = () =>
  kind === "ws"
    ? new WebSocketChatTransport({ url: `${url}/ws/ai-sdk`, webSocket: WebSocket })
    : new DefaultChatTransport({ api: `${url}/api/ai-sdk/chat` });
const errors = [];
const chat = new Chat({
  id: `asks by ${kind}`,
  transport: transport(),
  onError: (error) => errors.push(error.message),
  sendAutomaticallyWhen: (given) =>
    lastAssistantMessageIsCompleteWithApprovalResponses(given) ||
    lastAssistantMessageIsCompleteWithToolCalls(given),
});
const settled = async () => {
  do await new Promise((done) => setTimeout(done, 50));
  while (["submitted", "streaming"].includes(chat.status));
};
const last = () => structuredClone(chat.messages.at(-1));
const tools = () => chat.messages.at(-1).parts.filter((part) => part.type === "dynamic-tool");

const seen = {};
await chat.sendMessage({ text: "go" });
seen.asked = last();
const approval = tools().find((part) => part.state === "approval-requested");
await chat.addToolApprovalResponse({ id: approval.approval.id, approved: true });
await settled();
seen.approved = last();
const text = tools().find((part) => part.toolName === "ask_text");
await chat.addToolOutput({ tool: "ask_text", toolCallId: text.toolCallId, output: "blue" });
await settled();
seen.answered = last();
seen.count = chat.messages.length;

// a page that is opened later replays the whole message
const other = new Chat({ id: `asks by ${kind}`, transport: transport(), messages: [] });
await other.resumeStream();
seen.replayed = structuredClone(other.messages.at(-1));

// a second turn, and a refusal
await chat.sendMessage({ text: "go" });
const refusal = tools().find((part) => part.state === "approval-requested");
await chat.addToolApprovalResponse({ id: refusal.approval.id, approved: false });
await settled();
seen.denied = last();
seen.errors = errors;
console.log(JSON.stringify(seen));
process.exit(0);
