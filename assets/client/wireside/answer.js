// @ts-check
import { Conversation } from "./conversation.js";
import { WiresideError } from "./errors.js";

/** @import { Frame, Owner, Part, Reason, Sent, Tool, Usage } from "./types.js" */

/**
 * @template T
 * @typedef {{ promise: Promise<T>, resolve: (value: T) => void, reject: (reason: unknown) => void }} Deferred
 */

/** One answer. Iterate it for its pieces of text, or await `text`. Leaving the loop early stops the answer. */
export class Answer {
  #client;
  /** @type {Set<{ parts: Part[], wake: () => void }>} */
  #readers = new Set();
  /** @type {unknown} */
  #error = null;
  /** @type {Deferred<string>} */
  #text = promised();
  /** @type {Deferred<Answer>} */
  #started = promised();
  // internal state of the request
  _isOver = false;
  _isSent = false; // on this connection
  _isStopping = false;
  _isHeld = false; // until a timer resends it
  _sends = 0;
  _hasBegun = false; // since it was last sent

  /**
   * @param {Owner} client
   * @param {Sent | null} request the chat frame, sent again under the same key until `start` arrives
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
    /** All of the text, when the answer has ended. Rejects with a WiresideError. */
    this.text = this.#text.promise;
    /** This answer, when `stream`, `model` and `conversation` are known. */
    this.started = this.#started.promise;
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

  /** The answers of this request. */
  get _answers() {
    return [this];
  }

  /**
   * The frame to send now; null: not yet.
   * @returns {Sent | null}
   */
  _frame() {
    if (this.stream) return { type: "resume", stream: this.stream, offset: this.offset };
    const conversation = this.request?.conversation;
    if (!this.request || !(conversation instanceof Conversation)) return this.request;
    const id = conversation._idFor(this);
    return id ? { ...this.request, conversation: id } : null;
  }

  /**
   * Returns whether the frame is the last one.
   * @param {Frame} frame
   */
  _take(frame) {
    const { type, id, offset, ...rest } = frame;
    const isLast = type === "done" || type === "error";
    if (this._isOver) return isLast;
    if (type === "chunk" || type === "reasoning" || type === "tool") {
      if (offset <= this.offset) return false; // received already
      if (type === "tool") this.#putTool(/** @type {Tool} */ (/** @type {unknown} */ (rest)));
      else this.#putText(type, rest.content);
    }
    if (offset !== undefined) this.offset = offset;
    if (rest.index !== undefined) this.index = rest.index;
    if (type === "start") {
      const { stream, model, conversation = null } = rest;
      Object.assign(this, { stream, model, conversation });
      if (this.request?.conversation instanceof Conversation)
        this.request.conversation.id = conversation;
    }
    if (type === "start" || type === "resumed") this.#started.resolve(this);
    if (type === "error") this._fail(new WiresideError(rest));
    if (type === "done") this._end(rest.reason, rest.usage);
    return isLast;
  }

  /**
   * @param {Reason} reason
   * @param {Usage | null} [usage]
   */
  _end(reason, usage = null) {
    if (this._isOver) return;
    Object.assign(this, { reason, usage, _isOver: true });
    this.#started.resolve(this);
    this.#text.resolve(this.soFar);
    for (const { wake } of this.#readers) wake();
  }

  /** @param {unknown} error */
  _fail(error) {
    if (this._isOver) return;
    this._isOver = true;
    this.#error = error;
    this.#started.reject(error);
    this.#text.reject(error);
    for (const { wake } of this.#readers) wake();
  }

  /** @param {Tool} tool */
  #putTool(tool) {
    const at = this.tools.findIndex((one) => one.call === tool.call);
    this.tools[at < 0 ? this.tools.length : at] = tool;
    for (const { parts, wake } of this.#readers) {
      parts.push({ type: "tool", ...tool });
      wake();
    }
  }

  /**
   * @param {"chunk" | "reasoning"} type
   * @param {string} content
   */
  #putText(type, content) {
    if (type === "chunk") this.soFar += content;
    else this.reasoning += content;
    for (const { parts, wake } of this.#readers) {
      const last = parts[parts.length - 1];
      if (last && last.type !== "tool" && type === last.type) last.content += content;
      else parts.push({ type, content });
      wake();
    }
  }
}

/**
 * The same as `Promise.withResolvers`, which Node has from 22 on.
 * @template T
 * @returns {Deferred<T>}
 */
function promised() {
  /** @type {Partial<Deferred<T>>} */
  const functions = {};
  const promise = new Promise((resolve, reject) => Object.assign(functions, { resolve, reject }));
  return /** @type {Deferred<T>} */ ({ ...functions, promise });
}
