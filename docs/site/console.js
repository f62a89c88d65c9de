// The live console: sends frames to /ws/ai-chat of the server that serves the page, and shows both directions.

const place = document.getElementById("console");

const EXAMPLES = {
  "chat, level 1": { type: "chat", message: "What is a WebSocket?" },
  "chat, level 2": { type: "chat", id: "q1", message: "What is a WebSocket?" },
  "chat, stored": { type: "chat", id: "q2", message: "What is a WebSocket?", conversation: "new" },
  batch: { type: "batch", id: "b1", messages: ["What is TCP?", "What is UDP?"] },
  "cancel, level 1": { type: "cancel" },
  "cancel, level 2": { type: "cancel", id: "q1" },
  resume: { type: "resume", id: "q1", stream: "", offset: 0 },
  ping: { type: "ping", t: 1 },
};

const MAX_LINES = 2000;

if (place) {
  start(place);
}

/** Builds the console in an element. */
function start(place) {
  place.innerHTML = `
    <div class="ws-console-row">
      <button class="md-button md-button--primary" type="button" data-do="connect">Connect</button>
      <label>Example <select data-is="example"></select></label>
      <span class="ws-console-state" role="status">not connected</span>
    </div>
    <div class="ws-console-row">
      <input data-is="ticket" autocomplete="off" spellcheck="false"
        placeholder="Ticket (only without a session)" aria-label="Ticket">
    </div>
    <textarea data-is="frame" aria-label="Frame" spellcheck="false" rows="4"></textarea>
    <div class="ws-console-row">
      <button class="md-button" type="button" data-do="send">Send</button>
      <button class="md-button" type="button" data-do="clear">Clear</button>
    </div>
    <ol role="log" aria-label="Frames" tabindex="0"></ol>`;
  const find = (selector) => place.querySelector(selector);
  const frame = find("[data-is=frame]");
  const example = find("[data-is=example]");
  const log = find("ol");
  /** The stream and the offset of the last level 2 answer, for `resume`. */
  const last = { stream: "", offset: 0 };
  let socket = null;

  for (const name of Object.keys(EXAMPLES)) {
    example.add(new Option(name));
  }
  example.onchange = fill;
  fill();
  find("[data-do=connect]").onclick = () => (socket ? socket.close(1000) : connect());
  find("[data-do=send]").onclick = send;
  find("[data-do=clear]").onclick = () => log.replaceChildren();
  frame.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      send();
    }
  };

  function fill() {
    const value = EXAMPLES[example.value];
    frame.value = JSON.stringify(value.type === "resume" ? { ...value, ...last } : value, null, 1);
  }

  function connect(onOpen) {
    const ticket = find("[data-is=ticket]").value.trim();
    const address = new URL("../../ws/ai-chat", import.meta.url);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const opening = new WebSocket(address, ticket ? ["ai-chat", `ticket.${ticket}`] : ["ai-chat"]);
    socket = opening;
    show("connecting …");
    opening.onopen = () => {
      show("connected");
      onOpen?.();
    };
    opening.onmessage = ({ data }) => {
      remember(data);
      add("←", data, "received");
    };
    opening.onclose = ({ code, reason }) => {
      if (socket === opening) {
        socket = null;
      }
      show("not connected");
      add("", `closed: ${code} ${reason}`, "note");
    };
  }

  function send() {
    if (socket?.readyState === WebSocket.OPEN) {
      const text = compact(frame.value);
      socket.send(text);
      add("→", text, "sent");
    } else if (!socket) {
      connect(send);
    }
  }

  function remember(text) {
    const { stream, head, offset } = parsed(text);
    if (stream) {
      Object.assign(last, { stream, offset: head ?? 0 });
    }
    if (offset !== undefined) {
      last.offset = offset;
    }
  }

  function add(arrow, text, kind) {
    const line = document.createElement("li");
    line.className = `ws-console-${kind}`;
    line.textContent = `${new Date().toISOString().slice(11, 23)} ${arrow} ${text}`;
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(line);
    while (log.children.length > MAX_LINES) {
      log.firstChild.remove();
    }
    if (isAtEnd) {
      log.scrollTop = log.scrollHeight;
    }
  }

  function show(state) {
    find("[role=status]").textContent = state;
    find("[data-do=connect]").textContent = socket ? "Disconnect" : "Connect";
  }
}

/** Returns a frame on one line; a text that is not JSON is sent as it is. */
function compact(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text.trim();
  }
}

/** Returns a received frame; an empty one for a text that is not a JSON object. */
function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
