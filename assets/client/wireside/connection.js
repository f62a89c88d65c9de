// @ts-check
import { closedError, errorOf } from "./errors.js";
import { metered } from "./metrics.js";
import { now, timers } from "./timers.js";

/** @import { WiresideError } from "./errors.js" */
/** @import { Frame, Sent, Socket } from "./internal.js" */
/** @import { Options, SocketClass, State } from "./types.js" */

/**
 * @typedef {object} ConnectionEvents
 * @property {(state: State, error?: WiresideError | null) => void} _onState
 * @property {(frame: Frame) => void} _onFrame
 * @property {() => void} _onDrop the connection has gone, or an attempt begins: nothing is sent on it
 * @property {(error: Error) => boolean} _onTooLarge returns whether the request that was too large is known
 * @property {(error?: WiresideError | null) => void} _onEnd
 *
 * @typedef {ReturnType<typeof connection>} Connection
 */

const CLIENT_FAULTS = [1000, 1003, 1007, 1009]; // close codes after which a retry can't succeed

/**
 * A WebSocket that is replaced when it is lost, after a back-off, until it is ended.
 * @param {string} url
 * @param {Options & { protocols?: "" | (() => Promise<string[]>) }} options
 * @param {ConnectionEvents} events
 */
export function connection(
  url,
  { WebSocket, protocols, pingMs = 30_000, timeoutMs = 20_000 },
  { _onState, _onFrame, _onDrop, _onTooLarge, _onEnd },
) {
  // constants, here as esbuild inlines those of functions
  const MAX_BACKOFF_MS = 30_000;
  const POLICY_WAIT_S = 60; // after 1008 without a `retry_after`
  const REFUSED_AFTER = 3; // failed handshakes: the reason is looked for

  /** @type {Socket | null} */
  let socket = null;
  let attempt = 0; // number of the connection: events of earlier ones are ignored
  let attemptAt = 0;
  let isOpen = false;
  let openedAt = 0;
  let pingedAt = 0;
  let heardAt = 0; // time of the last frame; 0: none on this connection
  let tries = 0; // of the back-off
  let failures = 0; // failed handshakes in a row
  let mustWait = false; // for the server's retry_after
  let retryAfterS = POLICY_WAIT_S;
  let isEnded = false;
  const timer = timers();
  const metrics = metered();
  const ending = new AbortController();

  // ---- opening -----------------------------------------------------------------------------------------------------

  const connect = async () => {
    if (isEnded) return;
    drop();
    const mine = attempt;
    attemptAt = now();
    timer._after("open", timeoutMs, lost);
    _onState("connecting");
    if (mine !== attempt) return;
    let isReady = false;
    try {
      const offered = protocols ? await protocols() : ["ai-chat"];
      isReady = true;
      const Class =
        WebSocket ?? globalThis.WebSocket ?? (await import("./node_socket.js")).socketClass();
      if (mine === attempt) open(new Class(url, offered));
    } catch (error) {
      const { message, isRefusal } = /** @type {any} */ (error);
      if (mine !== attempt) return;
      if (isReady)
        end(closedError(`No WebSocket to ${url}: ${message}`)); // ws: on a page of https:
      else lost(1006, message, !isRefusal);
    }
  };

  /** @param {Socket} opening */
  const open = (opening) => {
    let cause = "";
    socket = opening;
    opening.onopen = opened;
    opening.onmessage = receive;
    opening.onclose = ({ code, reason }) => lost(code, reason || cause);
    opening.onerror = (event) => {
      cause = Object(event).message; // with `ws`
      // A close event is not certain: Node 22 fires none for a failed attempt.
      timer._after("error", isOpen ? 1000 : 0, () => lost(1006, cause));
    };
  };

  const opened = () => {
    isOpen = true;
    failures = 0;
    openedAt = now();
    pingedAt = -Infinity;
    metrics._opened();
    timer._clear("open");
    _onState("connected");
    const ping = () => {
      check();
      timer._after("ping", pingMs, ping);
    };
    if (isOpen) ping();
  };

  // ---- open --------------------------------------------------------------------------------------------------------

  /** @param {Sent} frame */
  const send = (frame) => {
    if (socket?.readyState === 1) socket.send(JSON.stringify(frame));
  };

  /** @param {{ data: string }} message */
  const receive = ({ data }) => {
    heardAt = now();
    timer._clear("frame");
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    metrics._count(frame);
    if (frame?.type !== "error") tries = 0;
    else if (frame.code === "rate_limited") retryAfterS = frame.retry_after ?? POLICY_WAIT_S;
    _onFrame(frame);
  };

  /**
   * Check the connection: it is lost when no frame follows a ping.
   * @param {boolean} [isNews] the network may be back
   * @param {boolean} [wasLate] the timer of the ping before this one was: in a tab in the background, all are
   */
  const check = (isNews = false, wasLate = false) => {
    const since = now();
    const checked = socket;
    if (isOpen && checked) {
      if (since - pingedAt < 1000 || (timer._has("frame") && !isNews)) return;
      pingedAt = since;
      send({ type: "ping", t: since });
      const { bufferedAmount } = checked;
      const limit = isNews ? Math.min(timeoutMs, 5000) : timeoutMs;
      timer._after("frame", limit, () => {
        const isLate = now() - since > 2 * limit && !wasLate; // frames may be queued behind it
        const isUploading = bufferedAmount > 65_536 && checked.bufferedAmount < bufferedAmount;
        if (isLate || isUploading) check(isNews, isLate);
        else lost();
      });
    } else if (isNews && !mustWait && since - attemptAt > 1000) connect();
  };

  // ---- lost --------------------------------------------------------------------------------------------------------

  /**
   * The connection, or an attempt to open one, has ended.
   * @param {number} [code] 0: the server did not answer in time
   * @param {string} [reason]
   * @param {boolean} [wasNotTried]
   */
  const lost = (code = 0, reason = "", wasNotTried = false) => {
    const text = code ? `The connection was lost (${code}).` : "The server was silent.";
    const error = closedError(reason || text, true);
    const wasOpen = isOpen;
    const hadFrames = heardAt && now() - openedAt > 1000;
    drop();
    let wait = Math.random() * Math.min(1000 * 2 ** tries++, MAX_BACKOFF_MS);
    if (wasOpen) {
      if (CLIENT_FAULTS.includes(code) && !(code === 1009 && _onTooLarge(error))) return end(error);
      if (code === 1008 && error.message !== "signed out") {
        mustWait = true;
        wait = (retryAfterS + Math.random()) * 1000;
      } else if (hadFrames && (code === 1001 || code === 1012)) wait = 0;
    } else if (!wasNotTried && !(++failures % REFUSED_AFTER)) endIfRefused(error);
    timer._after("retry", wait, connect);
    _onState("waiting", error);
  };

  /**
   * End if the server refuses the client permanently.
   * @param {WiresideError} cause
   */
  const endIfRefused = async (cause) => {
    const openedThen = openedAt;
    const known = { cause, failures, timeoutMs, hasTicket: !!protocols, wasOpen: openedAt > 0 };
    const refusal = await import("./refusal.js")
      .then(({ refusalOf }) => refusalOf(url, known))
      .catch(() => null); // the module can't be loaded now
    if (!refusal || isOpen || openedThen !== openedAt) return;
    const error = errorOf(refusal);
    error.cause = cause;
    end(error);
  };

  /**
   * Close it for good.
   * @param {WiresideError} [error]
   */
  const end = (error) => {
    if (isEnded) return;
    isEnded = true;
    drop(true);
    ending.abort();
    _onEnd(error);
  };

  /** Release the socket, whatever its state. */
  const drop = (isGoodbye = false) => {
    const dropped = socket;
    socket = null;
    attempt++;
    isOpen = mustWait = false;
    heardAt = 0;
    timer._clearAll();
    _onDrop();
    if (!dropped) return;
    dropped.onopen = dropped.onmessage = dropped.onclose = null;
    dropped.onerror = () => {}; // `ws` throws an error event without a listener
    try {
      if (!isGoodbye && dropped.terminate)
        dropped.terminate(); // `ws` waits 30 s for a lost peer
      else dropped.close(1000);
    } catch {
      // it never opened
    }
  };

  // ---- the network may be back -------------------------------------------------------------------------------------

  const { signal } = ending;
  for (const name of ["online", "pageshow", "visibilitychange"])
    globalThis.addEventListener?.(name, () => check(true), { signal });
  // Deferred so that `onState` can use the client, and one closed at once (StrictMode) opens nothing.
  queueMicrotask(connect);

  return {
    _metrics: metrics,
    _isOpen: () => isOpen,
    _isEnded: () => isEnded,
    _send: send,
    _end: end,
    /** Ping a connection that has been silent for long. */
    _checkIfSilent: () => {
      if (isOpen && now() - (heardAt || openedAt) > timeoutMs) check();
    },
  };
}
