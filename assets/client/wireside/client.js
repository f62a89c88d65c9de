// @ts-check
// A client for the WebSocket /ws/ai-chat (level 2), without dependencies: browsers, workers, Node, Deno, Bun.
//
//   import { Wireside } from "./wireside.mjs";
//   const chat = new Wireside("http://127.0.0.1:8080");
//   for await (const piece of chat.ask("What is a WebSocket?")) show(piece);
//
// Answers survive the connection: when it drops, the client reconnects and resumes each answer at its offset, so
// that no text is lost or repeated.
import { addressOf } from "./address.js";
import { Answer } from "./answer.js";
import { connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { copied } from "./copied.js";
import { closedError, errorOf } from "./errors.js";
import { Emitter } from "./events.js";
import { timers } from "./timers.js";

/** @import { Batch } from "./batch.js" */
/** @import { WiresideError } from "./errors.js" */
/** @import { Frame, Request, Sent } from "./internal.js" */
/** @import { AskOptions, BatchOptions, ClientEvents, Options, State, Upload } from "./types.js" */

const MAX_STREAMS = 8; // at once on a connection; further requests are queued
const rest = () => import("./rest.js");
const BUSY = ["rate_limited", "too_many", "overloaded"];

/** @type {typeof Batch | undefined} The hooks do not need it, so that pages need not load it. */
let batchClass;

/** @internal @param {typeof Batch} given */
export const provideBatch = (given) => (batchClass = given);

/**
 * A connection that reconnects by itself. `state` is the last value passed to the listeners of "state".
 * @extends {Emitter<ClientEvents>}
 */
export class Wireside extends Emitter {
  #connection;
  #token;
  #limit = MAX_STREAMS;
  #count = 0;
  /** @type {Set<Request>} */
  #open = new Set(); // unfinished requests, in the order of the calls
  /** @type {Map<string, Request>} */
  #sent = new Map(); // those sent on this connection, by id
  #timers = timers(); // of requests that wait for a busy server

  /**
   * @param {string | URL} [url] of the server or of its WebSocket (`http:`, `https:`, `ws:`, `wss:`), or a path on the
   *   page's own server
   * @param {Options} [options]
   */
  constructor(url, options = {}) {
    super();
    const { onState, ticket, token } = options;
    this.url = addressOf(url);
    this.#token = token;
    /** @type {State} */
    this.state = "connecting";
    /** @type {WiresideError | null} Why it is waiting or closed. */
    this.error = null;
    if (onState) this.on("state", onState);
    const protocols = (ticket ?? token) && (async () => (await rest()).protocols(this, ticket));
    this.#connection = connection(
      this.url,
      { ...options, protocols },
      {
        _onState: this.#tell,
        _onFrame: this.#receive,
        _onDrop: this.#forgetSent,
        _onTooLarge: this.#refuseLargest,
        _onEnd: this.#end,
      },
    );
  }

  /**
   * Ask. Returns at once; without a connection the question is sent after connecting.
   * @param {string} message
   * @param {AskOptions} [options]
   * @returns {Answer}
   */
  ask(message, options) {
    return this.#request(Answer, { ...options, type: "chat", message });
  }

  /**
   * Ask 1 to 20 questions, answered one after another, or `parallel` at once.
   * @param {string[]} messages
   * @param {BatchOptions} [options]
   * @returns {Batch}
   */
  batch(messages, options) {
    if (!batchClass) throw new TypeError("Batches: import wireside-client");
    return this.#request(batchClass, { ...options, type: "batch", messages });
  }

  /**
   * Follow an answer that was requested elsewhere, from an offset on.
   * @param {string} stream
   * @param {number} [offset]
   * @param {{ signal?: AbortSignal, keep?: boolean }} [options]
   * @returns {Answer}
   */
  follow(stream, offset = 0, { signal, keep } = {}) {
    const answer = new Answer(this, null, keep);
    Object.assign(answer, { stream: String(stream), offset });
    return this.#begin(answer, null, signal);
  }

  /**
   * Answer an open question of a conversation; the same as `answer.reply(value)`.
   * @param {string} conversation its id
   * @param {string} part the id of the question
   * @param {unknown} value
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Answer}
   */
  reply(conversation, part, value, options) {
    return this.#request(Answer, { type: "answer", conversation, part, value, ...options });
  }

  /**
   * A stored conversation to ask several questions in: a new one, or the one with this id.
   * @param {string | null} [id]
   */
  conversation(id = null) {
    return new Conversation(this, id);
  }

  /**
   * Request a path of the REST API, with the client's token. Rejects with a WiresideError when the server refuses.
   * @param {string} path such as `/api/conversations`
   * @param {RequestInit} [init]
   */
  async api(path, init) {
    const { request } = await rest();
    return request({ url: this.url, token: this.#token, newError: errorOf }, path, init);
  }

  /**
   * Upload a file; its `id` can be one of the `attachments` of a question.
   * @param {Blob | Uint8Array<ArrayBuffer> | ArrayBuffer | string} file
   * @param {{ name?: string, signal?: AbortSignal }} [options] `name`: default is that of a `File`
   * @returns {Promise<Upload>}
   */
  async upload(file, options) {
    return (await rest()).upload(this, file, options);
  }

  /** Figures about this client. */
  get metrics() {
    return this.#connection._metrics._values();
  }

  /** Close the connection. Answers continue on the server and can be followed by their stream. */
  close() {
    this.#connection._end();
  }

  /**
   * @internal
   * @param {Request} request
   * @param {number | null} [index] of one answer of a batch
   */
  _stop(request, index = null) {
    if (request._isOver || request._isStopping) return;
    const isWhole = index === null;
    if (isWhole) request._isStopping = true;
    this.#cancel(request);
    if (isWhole && (!request._sends || request._isHeld)) request._end("cancelled");
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  /**
   * @template {Request} T
   * @param {new (client: Wireside, frame: any, keep?: boolean) => T} Class
   * @param {Sent & { signal?: AbortSignal, keep?: boolean }} options
   * @returns {T}
   */
  #request(Class, { signal, keep, ...given }) {
    const { frame, fault } = copied(given);
    return this.#begin(new Class(this, frame, keep), fault, signal);
  }

  /**
   * @template {Request} T
   * @param {T} request
   * @param {unknown} fault why it can't be sent
   * @param {AbortSignal} [signal]
   */
  #begin(request, fault, signal) {
    if (this.#connection._isEnded()) fault ??= this.error ?? closedError();
    if (fault) request._fail(fault);
    if (request._isOver) return request;
    this.#open.add(request);
    if (signal) this.#watch(request, signal);
    this.#pump();
    this.#connection._checkIfSilent();
    return request;
  }

  /** Send the requests that can be sent now, in order. */
  #pump() {
    if (!this.#connection._isOpen()) return;
    for (const request of this.#open) {
      if (request._isSent || request._isHeld) continue;
      if (this.#streams > this.#limit - 1) return;
      const frame = /** @type {Sent} */ ({ ...request._frame() });
      const where = frame.conversation;
      if (where instanceof Conversation) {
        frame.conversation = request._conversationId ??= where._idFor(request);
        if (!frame.conversation) continue; // another request opens it
      }
      request._id = frame.id = `a${++this.#count}`;
      request._isSent = true;
      request._sends++;
      request._hasBegun = false;
      this.#sent.set(request._id, request);
      this.#connection._send(frame);
      this.#cancel(request);
    }
  }

  get #streams() {
    let sum = 0;
    for (const request of this.#sent.values()) sum += request._weight;
    return sum;
  }

  /** @param {Request} request */
  #cancel(request) {
    if (request._isSent)
      for (const index of request._stopped)
        this.#connection._send({ type: "cancel", id: request._id, index: index ?? undefined });
    // one that was sent is sent again, with a `cancel`: the server may be answering it
    else if (request._isStopping && !request._sends) this.#open.delete(request);
  }

  /** @param {Frame} frame */
  #receive = (frame) => {
    const request = this.#sent.get(frame?.id);
    if (!request || (frame.type === "error" && this.#goesOn(request, frame))) return;
    const where = request._request?.conversation;
    if (frame.type === "start" && where instanceof Conversation) where.id ??= frame.conversation;
    const isLast = request._take(frame);
    request._hasBegun = true;
    if (isLast) {
      this.#sent.delete(frame.id);
      this.#open.delete(request);
      request._isSent = false;
      this.#limit = Math.min(this.#limit + 1 / 4, MAX_STREAMS); // what lowered it may be over
    }
    if (isLast || frame.type === "start") this.#pump();
  };

  /**
   * Whether a refused request is not over: it is sent again later, or followed.
   * @param {Request} request
   * @param {Frame} error
   */
  #goesOn(request, error) {
    const MAX_HOLD_S = 60; // a request that would be resent later than that fails
    const { code } = error;
    const waitS = error.retry_after ?? 5;
    const others = this.#streams - request._weight;
    const isOneTooMany = code === "too_many" && others > 0;
    const isReply = code === "already_answered";
    if (request._hasBegun || request._answers[0]._isOver) return false;
    if (!isReply && (!BUSY.includes(code) || waitS > MAX_HOLD_S)) return false;
    if (!isOneTooMany && request._sends < 2) return false;
    this.#sent.delete(request._id);
    request._isSent = false;
    if (isOneTooMany) this.#limit = others;
    else {
      request._isHeld = true;
      if (isReply) this.#findReply(request, error);
      else this.#timers._after(request, waitS * 1000, () => this.#release(request));
    }
    return true;
  }

  /** @param {Request} request which was held */
  #release(request) {
    request._isHeld = false;
    this.#pump();
  }

  /**
   * The connection was lost between `answer` and its `start`: the answer goes on in the conversation's last stream.
   * @param {Request} request
   * @param {Frame} error
   */
  async #findReply(request, error) {
    try {
      const { lastStream } = await rest();
      request.stream = await lastStream(this, request._request?.conversation);
      this.#release(request);
    } catch {
      this.#fail(request, error);
    }
  }

  /**
   * @param {Request} request
   * @param {AbortSignal} signal
   */
  #watch(request, signal) {
    const abort = () => {
      request._isStopping = true;
      this.#cancel(request);
      request._fail(signal.reason);
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    const ends = request._answers.map((answer) => answer._ended);
    Promise.all(ends).then(() => signal.removeEventListener("abort", abort));
  }

  // ---- the connection ----------------------------------------------------------------------------------------------

  #forgetSent = () => {
    this.#limit = MAX_STREAMS;
    this.#timers._clearAll();
    for (const request of this.#open) {
      request._isSent = request._isHeld = false;
      if (request._isOver && !request._isStopping) this.#open.delete(request);
    }
    this.#sent.clear();
  };

  /**
   * After 1009: only the request that was too large fails, if it can be identified.
   * @param {Error} error
   */
  #refuseLargest = ({ message }) => {
    /** @param {Request} request */
    const size = ({ _sends, stream, _request }) =>
      _sends && !stream ? JSON.stringify(_request).length : 0;
    const [largest] = [...this.#open].sort((a, b) => size(b) - size(a));
    if (!largest || size(largest) < 65_536) return false;
    this.#fail(largest, { message, code: "too_large" });
    return true;
  };

  /**
   * @param {Request} request
   * @param {Parameters<typeof errorOf>[0]} error
   */
  #fail(request, error) {
    this.#open.delete(request);
    request._fail(errorOf(error));
  }

  /** @param {WiresideError | null} [error] */
  #end = (error) => {
    for (const request of this.#open) request._fail(error ?? closedError());
    this.#open.clear();
    this.#tell("closed", error);
  };

  /**
   * @param {State} state
   * @param {WiresideError | null} [error]
   */
  #tell = (state, error = null) => {
    this.state = state;
    this.error = error;
    this._emit("state", state, error);
    this.#pump();
  };
}
