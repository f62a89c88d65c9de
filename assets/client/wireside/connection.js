// @ts-check
import { lostError, messageOf, WiresideError } from "./errors.js";
import { statusByHttp } from "./probe.js";
import { now, Timers } from "./timers.js";

/** @import { Frame, Sent, Socket, SocketClass, State } from "./types.js" */

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url
 * @property {SocketClass} WebSocket
 * @property {number} pingMs
 * @property {number} timeoutMs
 * @property {() => (() => string | Promise<string>) | null} ticket the function that returns a ticket, if there is one
 *
 * @typedef {object} ConnectionEvents
 * @property {(state: State, error: Error | null) => void} onState
 * @property {() => void} onOpen
 * @property {(frame: Frame) => void} onFrame
 * @property {() => void} onDrop the connection has gone, or an attempt begins: nothing is sent on it
 * @property {(error: Error) => boolean} onTooLarge returns whether the request that was too large is known
 * @property {(error: Error | null) => void} onEnd
 */

const MAX_BACKOFF_MS = 30_000;
const POLICY_WAIT_S = 60; // after 1008 without a `retry_after`
const CLIENT_FAULTS = new Set([1003, 1007, 1009]); // close codes after which a retry can't succeed
const REFUSED_AFTER = 3; // failed handshakes with a known HTTP status
const REFUSED_UNSEEN_AFTER = 6; // … if only the server's presence is known

/** A WebSocket that is replaced when it is lost, after a back-off, until it is ended. */
export class Connection {
  #options;
  #events;
  /** @type {Socket | null} */
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
  #timers = new Timers();
  #isEnded = false;
  #look = () => this.#check(true);
  #onVisible = () => {
    if (globalThis.document.visibilityState === "visible") this.#look();
  };

  /**
   * @param {ConnectionOptions} options
   * @param {ConnectionEvents} events
   */
  constructor(options, events) {
    this.#options = options;
    this.#events = events;
    globalThis.addEventListener?.("online", this.#look);
    globalThis.addEventListener?.("pageshow", this.#look);
    globalThis.document?.addEventListener("visibilitychange", this.#onVisible);
    // Deferred so that `onState` can use the client, and one closed at once (StrictMode) opens nothing.
    queueMicrotask(() => this.#connect());
  }

  get isOpen() {
    return this.#isOpen;
  }

  get isEnded() {
    return this.#isEnded;
  }

  /** @param {Sent} frame */
  send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** Ping a connection that has been silent for long. */
  checkIfSilent() {
    const silentMs = now() - (this.#heardAt || this.#openedAt);
    if (this.#isOpen && silentMs > this.#options.timeoutMs) this.#check();
  }

  /**
   * Close it for good.
   * @param {Error | null} error
   */
  end(error) {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#drop(true);
    globalThis.removeEventListener?.("online", this.#look);
    globalThis.removeEventListener?.("pageshow", this.#look);
    globalThis.document?.removeEventListener("visibilitychange", this.#onVisible);
    this.#events.onEnd(error);
  }

  // ---- opening -----------------------------------------------------------------------------------------------------

  async #connect() {
    if (this.#isEnded) return;
    this.#drop();
    const attempt = this.#attempt;
    const isCurrent = () => attempt === this.#attempt;
    this.#attemptAt = now();
    this.#timers.after("open", this.#options.timeoutMs, () =>
      this.#lost(1006, lostError("The server did not answer in time.")),
    );
    this.#events.onState("connecting", null);
    if (!isCurrent()) return;
    const protocols = ["ai-chat"];
    const fetchTicket = this.#options.ticket();
    if (fetchTicket) {
      try {
        const ticket = await fetchTicket();
        if (!ticket) throw new Error("it returned none");
        protocols.push(`ticket.${ticket}`);
      } catch (error) {
        if (isCurrent())
          this.#lost(1006, lostError(`The ticket could not be fetched: ${messageOf(error)}`), true);
        return;
      }
      if (!isCurrent()) return;
    }
    this.#open(protocols, isCurrent);
  }

  /**
   * @param {string[]} protocols
   * @param {() => boolean} isCurrent
   */
  #open(protocols, isCurrent) {
    const { url, WebSocket } = this.#options;
    /** @type {Socket} */
    let socket;
    try {
      socket = new WebSocket(url, protocols);
    } catch (error) {
      // permanent: an invalid ticket, ws: on a page of https:
      const message = `A WebSocket to ${url} is not possible: ${messageOf(error)}`;
      return this.end(new WiresideError({ message }));
    }
    this.#socket = socket;
    socket.onopen = () => isCurrent() && this.#onOpen();
    socket.onmessage = ({ data }) => isCurrent() && this.#receive(data);
    let cause = "";
    socket.onclose = ({ code, reason }) => {
      if (isCurrent())
        this.#lost(code, lostError(reason || cause || `The connection was lost (${code}).`));
    };
    socket.onerror = (event) => {
      cause = Object(event).message || "The connection failed."; // with `ws`
      // A close event is not certain: Node 22 fires none for a failed attempt.
      if (isCurrent())
        this.#timers.after("error", this.#isOpen ? 1000 : 0, () =>
          this.#lost(1006, lostError(cause)),
        );
    };
  }

  #onOpen() {
    this.#isOpen = true;
    this.#failures = 0;
    this.#openedAt = now();
    this.#pingedAt = -Infinity;
    this.#timers.clear("open");
    this.#events.onState("connected", null);
    this.#events.onOpen();
    this.#check();
    const ping = () => {
      this.#check();
      this.#timers.after("ping", this.#options.pingMs, ping);
    };
    if (this.#isOpen) this.#timers.after("ping", this.#options.pingMs, ping);
  }

  // ---- open --------------------------------------------------------------------------------------------------------

  /** @param {string} data */
  #receive(data) {
    this.#heardAt = now();
    this.#timers.clear("frame");
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame?.type !== "error") this.#tries = 0;
    else if (frame.code === "rate_limited") this.#retryAfterS = frame.retry_after ?? POLICY_WAIT_S;
    this.#events.onFrame(frame);
  }

  /** Check the connection: it is lost when no frame follows a ping. `isNews`: the network may be back. */
  #check(isNews = false) {
    const { timeoutMs } = this.#options;
    const socket = this.#socket;
    if (this.#isOpen && socket) {
      const since = now();
      if (since - this.#pingedAt < 1000 || (this.#timers.has("frame") && !isNews)) return;
      this.#pingedAt = since;
      this.send({ type: "ping" });
      const { bufferedAmount } = socket;
      const limit = isNews ? Math.min(timeoutMs, 5000) : timeoutMs;
      this.#timers.after("frame", limit, () => {
        const wasSuspended = now() - since > limit + 2000; // its frames may be queued behind this timer
        const isUploading = bufferedAmount > 65_536 && socket.bufferedAmount < bufferedAmount;
        if (wasSuspended || isUploading) this.#check(isNews);
        else this.#lost(1006, lostError("The connection was silent."));
      });
    } else if (isNews && !this.#mustWait && !this.#isEnded && now() - this.#attemptAt > 1000) {
      this.#connect();
    }
  }

  // ---- lost --------------------------------------------------------------------------------------------------------

  /**
   * The connection, or an attempt to open one, has ended.
   * @param {number} code
   * @param {Error} error
   */
  #lost(code, error, wasNotTried = false) {
    const wasOpen = this.#isOpen;
    const hadFrames = this.#heardAt > 0 && now() - this.#openedAt > 1000;
    this.#drop();
    if (wasOpen && code === 1009 && this.#events.onTooLarge(error)) code = 1006;
    if (wasOpen && (code === 1000 || CLIENT_FAULTS.has(code))) return this.end(error);
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
    this.#timers.after("retry", wait, () => this.#connect());
    this.#events.onState("waiting", error);
  }

  /**
   * End if the handshake is refused permanently.
   * @param {number} status
   * @param {Error | null} cause
   */
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
    const message = `${this.#options.url} ${what}: ${hint}.`;
    const error = new WiresideError({ message, code });
    error.cause = cause;
    this.end(error);
    return true;
  }

  /** Browsers and Node hide why a handshake failed: check by HTTP whether the server is there, and its status. */
  async #probe() {
    if (this.#isProbing || typeof fetch !== "function") return;
    this.#isProbing = true;
    const attempt = this.#openedAt;
    const { url, timeoutMs } = this.#options;
    const status = await statusByHttp(url, {
      timeoutMs,
      hasTicket: Boolean(this.#options.ticket()),
      wasOpen: attempt > 0,
    }).catch(() => 0);
    this.#isProbing = false;
    if (!this.#isEnded && !this.#isOpen && attempt === this.#openedAt) this.#isRefused(status);
  }

  /** Release the socket, whatever its state. */
  #drop(isGoodbye = false) {
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt++;
    this.#isOpen = false;
    this.#mustWait = false;
    this.#heardAt = 0;
    this.#timers.clearAll();
    this.#events.onDrop();
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
}
