// @ts-check
import { Answer } from "./answer.js";
import { Batch } from "./batch.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { closedError, WiresideError } from "./errors.js";
import { Timers } from "./timers.js";

/** @import { AskOptions, Frame, Options, Request, Sent, State } from "./types.js" */

const MAX_STREAMS = 8; // at once on a connection; further requests are queued
const BUSY = new Set(["rate_limited", "too_many", "overloaded"]);

/** A connection that reconnects by itself. `state` is the last value passed to `onState`. */
export class Wireside {
  #connection;
  #limit = MAX_STREAMS;
  #count = 0;
  /** @type {Set<Request>} */
  #open = new Set(); // unfinished requests, in the order of the calls
  /** @type {Map<string, Request>} */
  #sent = new Map(); // those sent on this connection, by id
  #timers = new Timers(); // of requests that wait for a busy server

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
    const address = addressOf(url);
    const WebSocket = options?.WebSocket ?? options?.webSocket ?? globalThis.WebSocket;
    if (typeof WebSocket !== "function") {
      throw new Error(
        "There is no WebSocket in this runtime (Node before 22). Install the package `ws` and pass its class:" +
          ' import WebSocket from "ws"; new Wireside(url, { WebSocket })',
      );
    }
    this.ticket = ticket;
    this.onState = onState;
    /** @type {State} */
    this.state = "connecting";
    /** @type {Error | null} Why it is waiting or closed. */
    this.error = null;
    this.#connection = new Connection(
      { url: address, WebSocket, pingMs, timeoutMs, ticket: () => this.ticket },
      {
        onState: (state, error) => this.#tell(state, error),
        onOpen: () => this.#pump(),
        onFrame: (frame) => this.#receive(frame),
        onDrop: () => this.#forgetSent(),
        onTooLarge: (error) => this.#refuseLargest(error),
        onEnd: (error) => this.#end(error),
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
    const { signal, conversation, ...rest } = options ?? {};
    const { copy, fault } = copied({ ...rest, type: "chat", message }, conversation);
    return this.#begin(new Answer(this, copy), fault, signal);
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
    const { copy, fault } = copied({ ...rest, type: "batch", messages }, conversation);
    return this.#begin(new Batch(this, copy), fault, signal);
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
    this.#connection.end(null);
  }

  /** @param {Request} request */
  _stop(request) {
    if (request._isOver || request._isStopping) return;
    this.#cancel(request);
    if (!request._sends) request._end("cancelled");
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  /**
   * @template {Request} T
   * @param {T} request
   * @param {unknown} fault why it can't be sent
   * @param {AbortSignal} [signal]
   */
  #begin(request, fault, signal) {
    if (fault) request._fail(fault);
    return this.#submit(request, signal);
  }

  /**
   * @template {Request} T
   * @param {T} request
   * @param {AbortSignal} [signal]
   */
  #submit(request, signal) {
    if (this.#connection.isEnded) request._fail(this.error ?? closedError());
    if (request._isOver) return request;
    this.#open.add(request);
    if (signal) this.#watch(request, signal);
    this.#pump();
    this.#connection.checkIfSilent();
    return request;
  }

  /** Send the requests that can be sent now, in order. */
  #pump() {
    if (!this.#connection.isOpen) return;
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
      this.#connection.send({ ...frame, id: request.id });
      if (request._isStopping) this.#connection.send({ type: "cancel", id: request.id });
    }
  }

  /** @param {Frame} frame */
  #receive(frame) {
    const request = this.#sent.get(frame?.id);
    if (!request || (frame.type === "error" && this.#sendsLater(request, frame))) return;
    const isLast = request._take(frame);
    request._hasBegun = true;
    if (isLast) {
      this.#sent.delete(frame.id);
      request._isSent = false; // a batch may have more requests
    }
    if (request._isOver && isLast) this.#open.delete(request);
    if (isLast || frame.type === "start") this.#pump();
  }

  /**
   * Whether a refused request is queued.
   * @param {Request} request
   * @param {Frame} error
   */
  #sendsLater(request, error) {
    const others = this.#sent.size - 1;
    const isOneTooMany = error.code === "too_many" && others > 0;
    if (request._isOver || request._hasBegun || request._answers[0]._isOver) return false;
    if (!BUSY.has(error.code) || (request._sends < 2 && !isOneTooMany)) return false;
    this.#sent.delete(request.id);
    request._isSent = false;
    if (isOneTooMany) this.#limit = others;
    else {
      request._isHeld = true;
      this.#timers.after(request, (error.retry_after ?? 5) * 1000, () => {
        request._isHeld = false;
        this.#pump();
      });
    }
    return true;
  }

  /** @param {Request} request */
  #cancel(request) {
    request._isStopping = true;
    if (!request._sends) this.#open.delete(request);
    else if (this.#sent.get(request.id) === request)
      this.#connection.send({ type: "cancel", id: request.id });
  }

  /**
   * @param {Request} request
   * @param {AbortSignal} signal
   */
  #watch(request, signal) {
    const abort = () => {
      request._fail(signal.reason);
      this.#cancel(request);
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    const texts = request._answers.map((answer) => answer.text);
    Promise.allSettled(texts).then(() => signal.removeEventListener("abort", abort));
  }

  // ---- the connection ----------------------------------------------------------------------------------------------

  #forgetSent() {
    this.#limit = MAX_STREAMS;
    this.#timers.clearAll();
    for (const request of this.#open) {
      request._isSent = request._isHeld = false;
      if (request._isOver && !request._isStopping) this.#open.delete(request);
    }
    this.#sent.clear();
  }

  /**
   * After 1009: only the request that was too large fails, if it can be identified.
   * @param {Error} error
   */
  #refuseLargest(error) {
    /** @param {Request} request */
    const size = (request) => (request.stream ? 0 : JSON.stringify(request.request).length);
    const sent = [...this.#open].filter((request) => request.request && request._sends);
    const largest = sent.sort((a, b) => size(b) - size(a))[0];
    if (!largest || size(largest) < 65_536) return false;
    const { message } = error;
    this.#open.delete(largest);
    largest._fail(new WiresideError({ message, code: "too_large" }));
    return true;
  }

  /** @param {Error | null} error */
  #end(error) {
    for (const request of this.#open) request._fail(error ?? closedError());
    this.#open.clear();
    this.#tell("closed", error);
  }

  /**
   * @param {State} state
   * @param {Error | null} error
   */
  #tell(state, error) {
    this.state = state;
    this.error = error;
    try {
      Promise.resolve(this.onState?.(state, error)).catch(console.error);
    } catch (fault) {
      console.error(fault);
    }
  }
}

/**
 * A copy of a request's frame, because each resend must be identical, or why it can't be sent.
 * @template {Sent} T
 * @param {T} frame
 * @param {string | Conversation} [conversation]
 * @returns {{ copy: T, fault: unknown }}
 */
function copied(frame, conversation) {
  const where = conversation ? { conversation } : {};
  const named = { key: randomKey(), ...frame, id: undefined }; // ids are this client's
  try {
    return { copy: { ...JSON.parse(JSON.stringify(named, wellFormed)), ...where }, fault: null };
  } catch (fault) {
    return { copy: { ...frame, ...where }, fault };
  }
}

/** @param {string | URL} url */
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

/**
 * Replaces lone surrogates, which the protocol rejects.
 * @param {string} _
 * @param {unknown} value
 */
function wellFormed(_, value) {
  return typeof value === "string" ? value.replace(/\p{Cs}/gu, "\uFFFD") : value;
}
