// A client of /ws/ai-chat, level 2, in one file without dependencies: browsers, Node 22+, Deno, Bun.
//
//   import { Wireside } from "/assets/client/wireside.js";
//   const chat = new Wireside("ws://127.0.0.1:8080/ws/ai-chat");
//   for await (const piece of chat.ask("What is a WebSocket?")) show(piece);
//
// Answers survive the connection: when it drops, the client comes back (min(1000 * 2**n, 30000) ms with
// full jitter) and resumes each answer at its offset, so no text is lost and none comes twice.

const PING_MS = 30_000;
const LONGEST_BACKOFF_MS = 30_000;
// what these codes say is wrong with us, or with the frequency of our messages; trying again would not help
const FINAL_CODES = new Set([1003, 1007, 1008, 1009]);

/** Why an answer ended without `done`. `code` is one of the protocol's; `retryable` says whether to ask again. */
export class WiresideError extends Error {
  constructor({ message, code = "closed", retryable = false, retry_after = null }) {
    super(message);
    this.name = "WiresideError";
    Object.assign(this, { code, retryable, retryAfter: retry_after });
  }
}

/** One answer. Iterate it for its pieces of text; or await `text` for all of it. */
export class Answer {
  #client;
  #queue = [];
  #wake = null;
  #settle = {};

  constructor(client, id, request) {
    this.#client = client;
    this.id = id;
    this.request = request; // the chat frame, sent again under the same key until `start` arrives
    this.stream = null; // the name to resume it by, also from another connection
    this.model = null;
    this.offset = 0;
    this.reason = null; // stop, length, cancelled, content_filter, interrupted
    this.usage = null;
    this.reasoning = "";
    this.soFar = "";
    /** All of the text, once the answer has ended. Rejects with a WiresideError. */
    this.text = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.text.catch(() => {}); // who iterates hears of the error there
  }

  /** Ask the server to stop; what was written is kept, and the answer ends with reason "cancelled". */
  stop() {
    this.#client._stop(this);
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#queue.length) {
        const item = this.#queue.shift();
        if (item.error) throw item.error;
        if (item.done) return;
        yield item.content;
      }
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  _take(frame) {
    if (frame.offset !== undefined) this.offset = frame.offset;
    switch (frame.type) {
      case "start":
        this.stream = frame.stream;
        this.model = frame.model;
        return false;
      case "chunk":
        this.soFar += frame.content;
        this.#put({ content: frame.content });
        return false;
      case "reasoning":
        this.reasoning += frame.content;
        return false;
      case "done":
        this.reason = frame.reason;
        this.usage = frame.usage;
        this.#put({ done: true });
        this.#settle.resolve(this.soFar);
        return true;
      case "error":
        this._fail(new WiresideError(frame));
        return true;
      default:
        return false; // resumed, tool, and what later versions may send
    }
  }

  _fail(error) {
    this.#put({ error });
    this.#settle.reject(error);
  }

  #put(item) {
    this.#queue.push(item);
    this.#wake?.();
  }
}

/**
 * A connection that keeps itself alive. `onState` hears "connecting", "connected", "waiting", "closed".
 * `ticket` is for pages of other origins, on servers with accounts: an async function that returns a fresh ticket
 * (your own server asks for it: POST /api/tickets with its key). It is called before each connection.
 */
export class Wireside {
  #url;
  #socket = null;
  #open = new Map(); // id -> Answer
  #count = 0;
  #tries = 0;
  #timers = new Set();
  #isClosed = false;

  constructor(url, { onState = () => {}, WebSocket = globalThis.WebSocket, ticket = null } = {}) {
    this.#url = url;
    this.ticket = ticket;
    this.onState = onState;
    this.WebSocket = WebSocket;
    this.#connect();
  }

  /** Ask. Options: model, system, temperature, max_tokens, sanitize. Returns at once. */
  ask(message, options = {}) {
    const id = `a${++this.#count}`;
    const request = { type: "chat", id, key: globalThis.crypto.randomUUID(), message, ...options };
    const answer = new Answer(this, id, request);
    if (this.#isClosed) {
      answer._fail(new WiresideError({ message: "The client was closed." }));
    } else {
      this.#open.set(id, answer);
      this.#send(request);
    }
    return answer;
  }

  /** Follow an answer that was asked elsewhere, from an offset on. */
  follow(stream, offset = 0) {
    const id = `a${++this.#count}`;
    const answer = new Answer(this, id, null);
    Object.assign(answer, { stream, offset });
    this.#open.set(id, answer);
    this.#send(resumeOf(answer));
    return answer;
  }

  /** End the connection. Answers go on at the server and can be followed by their stream. */
  close() {
    this.#end(new WiresideError({ message: "The client was closed." }));
    this.#socket?.close(1000);
  }

  _stop(answer) {
    answer.isStopping = true;
    if (this.#open.has(answer.id)) this.#send({ type: "cancel", id: answer.id });
  }

  async #connect() {
    this.onState("connecting");
    const protocols = ["ai-chat"];
    if (this.ticket) {
      try {
        protocols.push(`ticket.${await this.ticket()}`);
      } catch {
        return this.#wait(); // whoever gives tickets is away
      }
      if (this.#isClosed) return;
    }
    const socket = (this.#socket = new this.WebSocket(this.#url, protocols));
    socket.onopen = () => {
      this.#tries = 0;
      this.onState("connected");
      for (const answer of this.#open.values()) {
        this.#send(answer.stream ? resumeOf(answer) : answer.request);
        if (answer.isStopping) this.#send({ type: "cancel", id: answer.id });
      }
      this.#every(PING_MS, () => this.#send({ type: "ping" }));
    };
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#onClose(code, reason);
    socket.onerror = () => {}; // a close follows, which says more
  }

  #take(frame) {
    const answer = this.#open.get(frame.id);
    if (answer?._take(frame)) this.#open.delete(frame.id);
  }

  #onClose(code, reason) {
    this.#clearTimers();
    if (this.#isClosed) return;
    if (FINAL_CODES.has(code)) {
      this.#end(new WiresideError({ message: reason || `The server closed the connection (${code}).` }));
      return;
    }
    this.#wait(); // 1001 and 1012: the server restarts and is back at once
  }

  #wait() {
    if (this.#isClosed) return;
    const backoff = Math.min(1000 * 2 ** this.#tries++, LONGEST_BACKOFF_MS);
    this.onState("waiting");
    this.#after(Math.random() * backoff, () => this.#connect());
  }

  #end(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#clearTimers();
    for (const answer of this.#open.values()) answer._fail(error);
    this.#open.clear();
    this.onState("closed");
  }

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #every(ms, work) {
    this.#timers.add(setInterval(work, ms));
  }

  #after(ms, work) {
    this.#timers.add(setTimeout(work, ms));
  }

  #clearTimers() {
    this.#timers.forEach(clearTimeout); // clears intervals too
    this.#timers.clear();
  }
}

function resumeOf({ id, stream, offset }) {
  return { type: "resume", id, stream, offset };
}
