import { useState } from "react";
import { useAIWebSocket } from "wireside-client/react";
import { VirtualList } from "./VirtualList.jsx";

export default function App() {
  const { messages, state, isStreaming, sendMessage, stop, error } = useAIWebSocket();
  const [input, setInput] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (!input.trim()) return;
    sendMessage(input);
    setInput("");
  };
  return (
    <form onSubmit={submit}>
      <p role="status">{state}</p>
      <VirtualList messages={messages} />
      {error && <p role="alert">{error.message}</p>}
      <input value={input} onChange={(event) => setInput(event.target.value)} aria-label="Message" />
      {isStreaming ? (
        <button type="button" onClick={stop}>
          Stop
        </button>
      ) : (
        <button disabled={!input.trim()}>Send</button>
      )}
    </form>
  );
}
