// @ts-check
// A client for the WebSocket /ws/ai-chat (level 2), in one file without dependencies: browsers, Node, Deno, Bun.
//
//   import { Wireside } from "/assets/client/wireside.js";
//   const chat = new Wireside("ws://127.0.0.1:8080/ws/ai-chat");
//   for await (const piece of chat.ask("What is a WebSocket?")) show(piece);
//
// Answers survive the connection: when it drops, the client reconnects and resumes each answer at its offset, so
// that no text is lost or repeated. Node 20 has no WebSocket: pass `{ WebSocket }` of the package `ws`.

const MAX_BACKOFF_MS = 30_000;
const POLICY_WAIT_S = 60; // after 1008 without a `retry_after`
const MAX_STREAMS = 8; // at once on a connection; further requests are queued
const CLIENT_FAULTS = new Set([1003, 1007, 1009]); // close codes after which a retry can't succeed
const REFUSED_AFTER = 3; // failed handshakes with a known HTTP status
const REFUSED_UNSEEN_AFTER = 6; // … if only the server's presence is known
const WHOLE_BATCH = new Set([
  "bad_json",
  "bad_message",
  "too_large",
  "unknown_type",
  "rate_limited",
]);
const BUSY = new Set(["rate_limited", "too_many", "overloaded"]);

/**
 * @typedef {"connecting" | "connected" | "waiting" | "closed"} State
 * @typedef {"stop" | "length" | "cancelled" | "content_filter" | "interrupted"} Reason
 * @typedef {{ input_tokens: number | null, output_tokens: number | null }} Usage
 * @typedef {{ role: "system" | "user" | "assistant", content: string }} Message
 * @typedef {{ call: string, name: string, state: "requested" | "running" | "done" | "failed", arguments: string, result?: string }} Tool
 * @typedef {{ type: "chunk" | "reasoning", content: string } | ({ type: "tool" } & Tool)} Part
 *
 * @typedef {object} AskOptions
 * @property {string} [model] default: the server's
 * @property {Message[]} [messages] earlier turns, for a question that is not stored
 * @property {string | Conversation} [conversation] continue and store there; "new" opens one
 * @property {string} [system]
 * @property {number} [temperature] 0 to 2
 * @property {number} [max_tokens]
 * @property {string[]} [attachments] ids of uploads (POST /api/uploads)
 * @property {boolean} [sanitize] escape `<script`
 * @property {string} [key] identifies the request: the same key gives the same answer (default: random)
 * @property {AbortSignal} [signal] stops the answer, which then fails with the signal's reason
 *
 * @typedef {object} Options
 * @property {(state: State, error: Error | null) => unknown} [onState] `error`: why it is waiting or closed
 * @property {any} [WebSocket] a class to use instead of the global one (`webSocket` is the same)
 * @property {any} [webSocket]
 * @property {(() => string | Promise<string>) | null} [ticket] returns a fresh ticket (POST /api/tickets, called by
 *   your own server) before each connection: for pages of other origins on servers with accounts
 * @property {number} [pingMs] between pings, 30,000 by default
 * @property {number} [timeoutMs] for opening, and for any frame after a ping: 15,000 by default
 */

/** Why an answer ended without `done`. `code` is one of the protocol's, or "closed"; `retryAfter` is in seconds. */
export class WiresideError extends Error {
  /** @param {{ message: string, code?: string, retryable?: boolean, retry_after?: number | null }} frame */
  constructor({ message, code = "closed", retryable = false, retry_after = null }) {
    super(message);
    this.name = "WiresideError";
    this.code = code;
    this.retryable = retryable;
    this.retryAfter = retry_after;
  }
}

/** One answer. Iterate it for its pieces of text, or await `text`. Leaving the loop early stops the answer. */
export class Answer {
  #client;
  #readers = new Set();
  #error = null;
  #settle = {};
  // internal state of the request
  _isOver = false;
  _isSent = false; // on this connection
  _isStopping = false;
  _isHeld = false; // until a timer resends it
  _sends = 0;
  _hasBegun = false; // since it was last sent

  /**
   * @param {Wireside} client
   * @param {any} request the chat frame, sent again under the same key until `start` arrives
   */
  constructor(client, request) {
    this.#client = client;
    this.request = request;
    this.id = "";
    /** @type {string | null} The id to follow it by, also from another connection. */
    this.stream = null;
    /** @type {string | null} */
    this.model = null;
    /** @type {string | null} The conversation it is stored in, for further questions. */
    this.conversation = null;
    /** @type {number | null} Its index in a batch. */
    this.index = null;
    this.offset = 0;
    /** @type {Reason | null} */
    this.reason = null;
    /** @type {Usage | null} */
    this.usage = null;
    this.reasoning = "";
    /** @type {Tool[]} Tool calls, each in its latest state. */
    this.tools = [];
    this.soFar = "";
    /** @type {Promise<string>} All of the text, when the answer has ended. Rejects with a WiresideError. */
    this.text = new Promise((resolve, reject) => Object.assign(this.#settle, { resolve, reject }));
    /** @type {Promise<Answer>} This answer, when `stream`, `model` and `conversation` are known. */
    this.started = new Promise((begin, refuse) => Object.assign(this.#settle, { begin, refuse }));
    for (const promise of [this.text, this.started]) promise.catch(() => {}); // callers may await only one of them
  }

  /** Stop: what was written is kept, and the answer ends with reason "cancelled". */
  stop() {
    this.#client._stop(this);
  }

  /** Yields the pieces of text. Each consumer gets all of them. */
  async *[Symbol.asyncIterator]() {
    for await (const part of this.parts()) if (part.type === "chunk") yield part.content;
  }

  /**
   * Yields text, reasoning and tool calls in order of arrival. A consumer that lags gets larger pieces.
   * @returns {AsyncGenerator<Part, void, void>}
   */
  async *parts() {
    /** @type {Part[]} */
    const parts = [
      ...(this.reasoning
        ? [{ type: /** @type {const} */ ("reasoning"), content: this.reasoning }]
        : []),
      ...this.tools.map((tool) => ({ type: /** @type {const} */ ("tool"), ...tool })),
      ...(this.soFar ? [{ type: /** @type {const} */ ("chunk"), content: this.soFar }] : []),
    ];
    const reader = { parts, wake: () => {} };
    this.#readers.add(reader);
    try {
      for (;;) {
        for (let part; (part = parts.shift());) yield part;
        if (this.#error) throw this.#error;
        if (this._isOver) return;
        await new Promise((resolve) => (reader.wake = () => resolve(null)));
      }
    } finally {
      this.#readers.delete(reader);
      // Answers of a batch, or requested elsewhere, continue.
      if (!this._isOver && this.request && !this.#readers.size) this.stop();
    }
  }

  /** The frame to send now; null: not yet. */
  _frame() {
    if (this.stream) return { type: "resume", stream: this.stream, offset: this.offset };
    const { conversation } = this.request;
    if (!(conversation instanceof Conversation)) return this.request;
    const id = conversation._idFor(this);
    return id && { ...this.request, conversation: id };
  }

  /** Returns whether the frame is the last one. */
  _take(frame) {
    const { type, id, offset, ...rest } = frame;
    const isLast = type === "done" || type === "error";
    if (this._isOver) return isLast;
    if (type === "chunk" || type === "reasoning" || type === "tool") {
      if (offset <= this.offset) return false; // received already
      if (type === "chunk") this.soFar += rest.content;
      else if (type === "reasoning") this.reasoning += rest.content;
      else {
        const at = this.tools.findIndex((tool) => tool.call === rest.call);
        this.tools[at < 0 ? this.tools.length : at] = rest;
      }
      this.#put({ type, ...rest });
    }
    if (offset !== undefined) this.offset = offset;
    if (rest.index !== undefined) this.index = rest.index;
    if (type === "start") {
      const { stream, model, conversation = null } = rest;
      Object.assign(this, { stream, model, conversation });
      if (this.request?.conversation instanceof Conversation)
        this.request.conversation.id = conversation;
    }
    if (type === "start" || type === "resumed") this.#settle.begin(this);
    if (type === "error") this._fail(new WiresideError(rest));
    if (type === "done") this._end(rest.reason, rest.usage);
    return isLast;
  }

  _end(reason, usage = null) {
    if (this._isOver) return;
    Object.assign(this, { reason, usage, _isOver: true });
    this.#settle.begin(this);
    this.#settle.resolve(this.soFar);
    for (const { wake } of this.#readers) wake();
  }

  _fail(error) {
    if (this._isOver) return;
    this._isOver = true;
    this.#error = error;
    this.#settle.refuse(error);
    this.#settle.reject(error);
    for (const { wake } of this.#readers) wake();
  }

  #put(part) {
    for (const { parts, wake } of this.#readers) {
      const last = parts[parts.length - 1];
      if (last && last.type !== "tool" && part.type === last.type) last.content += part.content;
      else parts.push({ ...part });
      wake();
    }
  }
}

/** Several questions, answered one after another: `for (const answer of batch) for await (const piece of answer) …` */
export class Batch {
  #client;
  #next = 0; // the index of the next answer on this connection
  #current = null;
  #resumed = null;
  #conversationId = null; // as first sent: the server matches it together with the key
  _isSent = false;
  _isStopping = false;
  _isHeld = false;
  _sends = 0;
  _hasBegun = false;

  constructor(client, request) {
    this.#client = client;
    this.request = request;
    this.id = "";
    /** @type {Answer[]} */
    this.answers = request.messages.map(() => new Answer(client, null));
    this.answers.forEach((answer, index) => {
      answer.index = index;
      answer.stop = () => this.stop();
    });
  }

  [Symbol.iterator]() {
    return this.answers[Symbol.iterator]();
  }

  /** Stop the running answer and those behind it. */
  stop() {
    this.#client._stop(this);
  }

  get _isOver() {
    return this.answers.every((answer) => answer._isOver);
  }

  /** After a drop: the rest of the started answer, then, by the batch's key, those behind it. */
  _frame() {
    this.#next = 0;
    this.#current = null;
    this.#resumed = this.answers.find((answer) => answer.stream && !answer._isOver) ?? null;
    if (this.#resumed) return this.#resumed._frame();
    const { conversation } = this.request;
    const frame = { ...this.request, offsets: this.answers.map((answer) => answer.offset) };
    if (!(conversation instanceof Conversation)) return frame;
    this.#conversationId ??= conversation._idFor(this);
    return this.#conversationId && { ...frame, conversation: this.#conversationId };
  }

  _take(frame) {
    const isLast = frame.type === "done" || frame.type === "error";
    if (this.#resumed) return this.#resumed._take(frame);
    const at = frame.index ?? this.#current ?? this.#next;
    const isFirst = !this._hasBegun && frame.index === undefined && !this.answers[0]._isOver;
    if (frame.type === "error" && isFirst && WHOLE_BATCH.has(frame.code)) {
      this._fail(new WiresideError(frame)); // the whole batch was refused
      return true;
    }
    if (frame.type === "start") {
      this.#current = at;
      const { conversation } = this.request;
      if (conversation instanceof Conversation) conversation.id ??= frame.conversation ?? null;
    }
    this.answers[at]?._take(frame);
    if (isLast) {
      this.#next = at + 1;
      this.#current = null;
    }
    return isLast && this._isOver;
  }

  _end(reason) {
    for (const answer of this.answers) answer._end(reason);
  }

  _fail(error) {
    for (const answer of this.answers) answer._fail(error);
  }
}

/** A stored conversation. `id` is null until the first answer has started. */
export class Conversation {
  #client;
  #opener = null;

  constructor(client, id) {
    this.#client = client;
    this.id = id;
  }

  /** Ask in it. @param {string} message @param {AskOptions} [options] */
  ask(message, options) {
    return this.#client.ask(message, { ...options, conversation: this });
  }

  /** Ask several questions in it. @param {string[]} messages @param {AskOptions} [options] */
  batch(messages, options) {
    return this.#client.batch(messages, { ...options, conversation: this });
  }

  _idFor(request) {
    if (this.id) return this.id;
    if (!this.#opener || this.#opener._isOver) this.#opener = request; // the previous one failed
    return this.#opener === request ? "new" : null;
  }
}

/** A connection that reconnects by itself. `state` is the last value passed to `onState`. */
export class Wireside {
  #url;
  #WebSocket;
  #pingMs;
  #timeoutMs;
  #socket = null;
  #attempt = 0; // number of the connection: events of earlier ones are ignored
  #attemptAt = 0;
  #isOpen = false;
  #openedAt = 0;
  #pingedAt = -Infinity;
  #heardAt = 0; // time of the last frame; 0: none on this connection
  #tries = 0; // of the back-off
  #failures = 0; // failed handshakes in a row
  #isProbing = false;
  #mustWait = false; // for the server's retry_after
  #retryAfterS = POLICY_WAIT_S;
  #limit = MAX_STREAMS;
  #count = 0;
  #open = new Set(); // unfinished requests, in the order of the calls
  #sent = new Map(); // those sent on this connection, by id
  #timers = new Map();
  #isClosed = false;
  #look = () => this.#check(true);
  #onVisible = () => {
    if (globalThis.document.visibilityState === "visible") this.#look();
  };

  /**
   * @param {string | URL} url `ws:`, `wss:`, `http:`, `https:`, or a path on the page's own server
   * @param {Options} [options]
   */
  constructor(url, options) {
    const {
      onState = () => {},
      ticket = null,
      pingMs = 30_000,
      timeoutMs = 15_000,
    } = options ?? {};
    this.#url = addressOf(url);
    this.#WebSocket = options?.WebSocket ?? options?.webSocket ?? globalThis.WebSocket;
    if (typeof this.#WebSocket !== "function") {
      throw new Error(
        "There is no WebSocket in this runtime (Node before 22). Install the package `ws` and pass its class:" +
          ' import WebSocket from "ws"; new Wireside(url, { WebSocket })',
      );
    }
    this.ticket = ticket;
    this.onState = onState;
    this.#pingMs = pingMs;
    this.#timeoutMs = timeoutMs;
    /** @type {State} */
    this.state = "connecting";
    /** @type {Error | null} Why it is waiting or closed. */
    this.error = null;
    globalThis.addEventListener?.("online", this.#look);
    globalThis.addEventListener?.("pageshow", this.#look);
    globalThis.document?.addEventListener("visibilitychange", this.#onVisible);
    // Deferred so that `onState` can use the client, and one closed at once (StrictMode) opens nothing.
    queueMicrotask(() => this.#connect());
  }

  /**
   * Ask. Returns at once; without a connection the question is sent after connecting.
   * @param {string} message
   * @param {AskOptions} [options]
   * @returns {Answer}
   */
  ask(message, options) {
    const { signal, conversation, ...rest } = options ?? {};
    return this.#begin(Answer, { ...rest, type: "chat", message }, { conversation, signal });
  }

  /**
   * Ask 1 to 20 questions, answered one after another.
   * @param {string[]} messages
   * @param {AskOptions} [options]
   * @returns {Batch}
   */
  batch(messages, options) {
    const { signal, conversation, ...rest } = options ?? {};
    if (!Array.isArray(messages)) throw new TypeError("batch: expected an array of strings.");
    return this.#begin(Batch, { ...rest, type: "batch", messages }, { conversation, signal });
  }

  /**
   * Follow an answer that was requested elsewhere, from an offset on.
   * @param {string} stream
   * @param {number} [offset]
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Answer}
   */
  follow(stream, offset = 0, { signal } = {}) {
    const answer = new Answer(this, null);
    Object.assign(answer, { stream: String(stream), offset });
    return this.#submit(answer, signal);
  }

  /**
   * A stored conversation to ask several questions in: a new one, or the one with this id.
   * @param {string | null} [id]
   */
  conversation(id = null) {
    return new Conversation(this, id);
  }

  /** Close the connection. Answers continue on the server and can be followed by their stream. */
  close() {
    this.#end(null);
  }

  _stop(request) {
    if (request._isOver || request._isStopping) return;
    this.#cancel(request);
    if (!request._sends) request._end("cancelled");
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  #begin(Kind, frame, { conversation, signal }) {
    const { id, ...named } = { key: randomKey(), ...frame }; // ids are this client's
    let copy = named;
    let fault = null;
    try {
      copy = JSON.parse(JSON.stringify(named, wellFormed)); // each resend must be identical
    } catch (error) {
      fault = error;
    }
    if (conversation) copy.conversation = conversation;
    const request = new Kind(this, copy);
    if (fault) request._fail(fault);
    return this.#submit(request, signal);
  }

  #submit(request, signal) {
    if (this.#isClosed) request._fail(this.error ?? closedError());
    if (request._isOver) return request;
    this.#open.add(request);
    if (signal) this.#watch(request, signal);
    this.#pump();
    if (this.#isOpen && now() - (this.#heardAt || this.#openedAt) > this.#timeoutMs) this.#check();
    return request;
  }

  /** Send the requests that can be sent now, in order. */
  #pump() {
    if (!this.#isOpen) return;
    for (const request of this.#open) {
      if (this.#sent.size >= this.#limit) return;
      if (request._isSent || request._isHeld) continue;
      const frame = request._frame();
      if (!frame) continue;
      request.id = `a${++this.#count}`;
      request._isSent = true;
      request._sends++;
      request._hasBegun = false;
      this.#sent.set(request.id, request);
      this.#send({ ...frame, id: request.id });
      if (request._isStopping) this.#send({ type: "cancel", id: request.id });
    }
  }

  #receive(data) {
    this.#heardAt = now();
    this.#clear("frame");
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    const isError = frame?.type === "error";
    if (!isError) this.#tries = 0;
    else if (frame.code === "rate_limited") this.#retryAfterS = frame.retry_after ?? POLICY_WAIT_S;
    const request = this.#sent.get(frame?.id);
    if (!request || (isError && this.#sendsLater(request, frame))) return;
    const isLast = request._take(frame);
    request._hasBegun = true;
    if (isLast) {
      this.#sent.delete(frame.id);
      request._isSent = false; // a batch may have more requests
    }
    if (request._isOver && isLast) this.#open.delete(request);
    if (isLast || frame.type === "start") this.#pump();
  }

  /** Whether a refused request is queued. */
  #sendsLater(request, error) {
    const others = this.#sent.size - 1;
    const isOneTooMany = error.code === "too_many" && others > 0;
    if (request._isOver || request._hasBegun || request.answers?.[0]._isOver) return false;
    if (!BUSY.has(error.code) || (request._sends < 2 && !isOneTooMany)) return false;
    this.#sent.delete(request.id);
    request._isSent = false;
    if (isOneTooMany) this.#limit = others;
    else {
      request._isHeld = true;
      this.#after(request, (error.retry_after ?? 5) * 1000, () => {
        request._isHeld = false;
        this.#pump();
      });
    }
    return true;
  }

  #cancel(request) {
    request._isStopping = true;
    if (!request._sends) this.#open.delete(request);
    else if (this.#sent.get(request.id) === request) this.#send({ type: "cancel", id: request.id });
  }

  #watch(request, signal) {
    const abort = () => {
      request._fail(signal.reason);
      this.#cancel(request);
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    const texts = (request.answers ?? [request]).map((answer) => answer.text);
    Promise.allSettled(texts).then(() => signal.removeEventListener("abort", abort));
  }

  // ---- the connection ----------------------------------------------------------------------------------------------

  async #connect() {
    if (this.#isClosed) return;
    this.#drop();
    const attempt = this.#attempt;
    const isCurrent = () => attempt === this.#attempt;
    this.#attemptAt = now();
    this.#after("open", this.#timeoutMs, () =>
      this.#lost(1006, lostError("The server did not answer in time.")),
    );
    this.#tell("connecting");
    if (!isCurrent()) return;
    const protocols = ["ai-chat"];
    if (this.ticket) {
      try {
        const ticket = await this.ticket();
        if (!ticket) throw new Error("it returned none");
        protocols.push(`ticket.${ticket}`);
      } catch (error) {
        if (isCurrent())
          this.#lost(1006, lostError(`The ticket could not be fetched: ${messageOf(error)}`), true);
        return;
      }
      if (!isCurrent()) return;
    }
    try {
      this.#socket = new this.#WebSocket(this.#url, protocols);
    } catch (error) {
      // permanent: an invalid ticket, ws: on a page of https:
      return this.#end(
        new WiresideError({
          message: `A WebSocket to ${this.#url} is not possible: ${messageOf(error)}`,
        }),
      );
    }
    const socket = this.#socket;
    socket.onopen = () => isCurrent() && this.#onOpen();
    socket.onmessage = ({ data }) => isCurrent() && this.#receive(data);
    let cause = "";
    socket.onclose = ({ code, reason }) => {
      if (isCurrent())
        this.#lost(code, lostError(reason || cause || `The connection was lost (${code}).`));
    };
    socket.onerror = (event) => {
      cause = event?.message || "The connection failed.";
      // A close event is not certain: Node 22 fires none for a failed attempt.
      if (isCurrent())
        this.#after("error", this.#isOpen ? 1000 : 0, () => this.#lost(1006, lostError(cause)));
    };
  }

  #onOpen() {
    this.#isOpen = true;
    this.#failures = 0;
    this.#openedAt = now();
    this.#pingedAt = -Infinity;
    this.#clear("open");
    this.#tell("connected");
    this.#pump();
    this.#check();
    const ping = () => {
      this.#check();
      this.#after("ping", this.#pingMs, ping);
    };
    if (this.#isOpen) this.#after("ping", this.#pingMs, ping);
  }

  /** Check the connection: it is lost when no frame follows a ping. `isNews`: the network may be back. */
  #check(isNews = false) {
    if (this.#isOpen) {
      const since = now();
      if (since - this.#pingedAt < 1000 || (this.#timers.has("frame") && !isNews)) return;
      this.#pingedAt = since;
      this.#send({ type: "ping" });
      const { bufferedAmount } = this.#socket;
      const limit = isNews ? Math.min(this.#timeoutMs, 5000) : this.#timeoutMs;
      this.#after("frame", limit, () => {
        const wasSuspended = now() - since > limit + 2000; // its frames may be queued behind this timer
        const isUploading = bufferedAmount > 65_536 && this.#socket.bufferedAmount < bufferedAmount;
        if (wasSuspended || isUploading) this.#check(isNews);
        else this.#lost(1006, lostError("The connection was silent."));
      });
    } else if (isNews && !this.#mustWait && !this.#isClosed && now() - this.#attemptAt > 1000) {
      this.#connect();
    }
  }

  /** The connection, or an attempt to open one, has ended. */
  #lost(code, error, wasNotTried = false) {
    const wasOpen = this.#isOpen;
    const hadFrames = this.#heardAt > 0 && now() - this.#openedAt > 1000;
    this.#drop();
    if (wasOpen && code === 1009 && this.#refuseLargest(error)) code = 1006;
    if (wasOpen && (code === 1000 || CLIENT_FAULTS.has(code))) return this.#end(error);
    let wait = Math.random() * Math.min(1000 * 2 ** this.#tries++, MAX_BACKOFF_MS);
    if (wasOpen && code === 1008) {
      this.#mustWait = true;
      wait = this.#retryAfterS * 1000 + Math.random() * 1000;
    } else if (wasOpen && hadFrames && (code === 1001 || code === 1012)) wait = 0;
    if (!wasOpen && !wasNotTried) {
      this.#failures++;
      const status = Number(/: (\d{3})$/.exec(error.message)?.[1] ?? 0); // from ws, Deno and Bun
      if (this.#isRefused(status, error)) return;
      if (!status && this.#failures >= REFUSED_AFTER) this.#probe();
    }
    this.#after("retry", wait, () => this.#connect());
    this.#tell("waiting", error);
  }

  /** Close if the handshake is refused permanently. */
  #isRefused(status, cause = null) {
    const isUnseen = status === 426 || status < 400;
    if (status >= 500 || status === 408 || status === 425 || status === 429 || !status)
      return false;
    if (this.#failures < (isUnseen ? REFUSED_UNSEEN_AFTER : REFUSED_AFTER)) return false;
    const what = `refuses the WebSocket${status === 426 || status === 200 ? "" : ` with ${status}`}`;
    const hint =
      /** @type {Record<number, string>} */ ({
        400: "its trusted hosts do not include this name",
        401: "it has accounts: pass a ticket, a key, or sign in",
        403: "its allowed origins do not include this page's",
        404: "the path is wrong; it ends with /ws/ai-chat",
      })[status] ?? "it has accounts (pass a ticket), or does not allow this page's origin";
    const code = status === 404 ? "not_found" : status === 400 ? "bad_message" : "unauthorized";
    const error = new WiresideError({ message: `${this.#url} ${what}: ${hint}.`, code });
    error.cause = cause;
    this.#end(error);
    return true;
  }

  /** Browsers and Node hide why a handshake failed: check by HTTP whether the server is there, and its status. */
  async #probe() {
    if (this.#isProbing || typeof fetch !== "function") return;
    this.#isProbing = true;
    const attempt = this.#openedAt;
    const status = await this.#statusByHttp().catch(() => 0);
    this.#isProbing = false;
    if (!this.#isClosed && !this.#isOpen && attempt === this.#openedAt) this.#isRefused(status);
  }

  async #statusByHttp() {
    const url = this.#url.replace(/^ws/, "http");
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const get = async (address, mode) => {
      const response = await fetch(address, { mode, signal, cache: "no-store" });
      response.body?.cancel().catch(() => {});
      return response.status;
    };
    const own = await get(url).catch(() => 0);
    if (own && own !== 426) return own;
    const me = this.ticket
      ? 0
      : await get(url.replace(/\/ws\/ai-chat\/?$/, "/api/me")).catch(() => 0);
    if (me === 401 || me >= 500 || own) return me >= 400 ? me : own;
    if (me) return 426;
    await get(url, "no-cors"); // rejects without a server; hides the status
    return this.#openedAt ? 0 : 426; // connected before: a proxy with a restarting server looks the same
  }

  /** After 1009: only the request that was too large fails, if it can be identified. */
  #refuseLargest(error) {
    const size = (request) => (request.stream ? 0 : JSON.stringify(request.request).length);
    const sent = [...this.#open].filter((request) => request.request && request._sends);
    const largest = sent.sort((a, b) => size(b) - size(a))[0];
    if (!largest || size(largest) < 65_536) return false;
    const { message } = error;
    this.#open.delete(largest);
    largest._fail(new WiresideError({ message, code: "too_large" }));
    return true;
  }

  /** Release the socket, whatever its state. */
  #drop(isGoodbye = false) {
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt++;
    this.#isOpen = false;
    this.#mustWait = false;
    this.#heardAt = 0;
    this.#limit = MAX_STREAMS;
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    for (const request of this.#open) {
      request._isSent = request._isHeld = false;
      if (request._isOver && !request._isStopping) this.#open.delete(request);
    }
    this.#sent.clear();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // `ws` throws an error event without a listener
    try {
      if (!isGoodbye && socket.terminate)
        socket.terminate(); // `ws` waits 30 s for a lost peer
      else socket.close(1000);
    } catch {
      // it never opened
    }
  }

  #end(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#drop(true);
    globalThis.removeEventListener?.("online", this.#look);
    globalThis.removeEventListener?.("pageshow", this.#look);
    globalThis.document?.removeEventListener("visibilitychange", this.#onVisible);
    for (const request of this.#open) request._fail(error ?? closedError());
    this.#open.clear();
    this.#tell("closed", error);
  }

  #tell(state, error = null) {
    this.state = state;
    this.error = error;
    try {
      Promise.resolve(this.onState?.(state, error)).catch(console.error);
    } catch (fault) {
      console.error(fault);
    }
  }

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #after(name, ms, work) {
    this.#clear(name);
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      work();
    }, ms);
    this.#timers.set(name, timer);
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

function addressOf(url) {
  const page = globalThis.location?.href;
  let address;
  try {
    address = new URL(url, page);
  } catch {
    throw new TypeError(`${url} is no address; write it as ws://127.0.0.1:8080/ws/ai-chat.`);
  }
  address.protocol = address.protocol.replace(/^http/, "ws");
  address.hash = "";
  if (!/^wss?:$/.test(address.protocol))
    throw new TypeError(`${url} is no address of a WebSocket (ws: or wss:).`);
  return address.href;
}

function randomKey() {
  // crypto.randomUUID is missing on pages of plain http
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Replaces lone surrogates, which the protocol rejects. */
function wellFormed(_, value) {
  return typeof value === "string" ? value.replace(/\p{Cs}/gu, "\uFFFD") : value;
}

const now = () => performance.now(); // monotonic
const closedError = () => new WiresideError({ message: "The client was closed." });
const lostError = (message) => new WiresideError({ message, retryable: true });
const messageOf = (error) => (error instanceof Error ? error.message : String(error));
