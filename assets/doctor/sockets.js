// Measurements over WebSockets.
import { ask, REPLY_MS } from "./requests.js";
import { clocked } from "./clock.js";
import { pause, Socket } from "./socket.js";

export const CHAT = "/ws/ai-chat";
export const PROBE = "/ws/doctor";
export const PAGE = "/_nicegui_ws/socket.io/";
const ANSWER_MS = 90_000;

/**
 * @param {string} path
 * @returns {Promise<Upgrade>}
 */
export const upgrade = async (path) => {
  const socket = new Socket(path === PAGE ? `${path}?EIO=4&transport=websocket` : path);
  try {
    await socket.opened();
  } catch (e) {
    socket.ws.close();
    // pages can't see the response to a failed handshake: a plain request shows at least how far requests get
    const reply =
      path === PAGE ? { status: 0, message: String(Object(e).message) } : (await ask(path)).reply;
    return { path, is_open: false, reply };
  }
  const opened = performance.now();
  /** @type {Upgrade} */
  const found = {
    path,
    is_open: true,
    reply: { status: 101, is_ours: true },
    extensions: socket.ws.extensions,
  };
  try {
    if (path === CHAT) {
      await pause(200);
      socket.say({ type: "ping" });
    }
    await socket.next();
  } catch {
    found.closed_after_ms = Math.round(performance.now() - opened);
  }
  socket.ws.close();
  return found;
};

/** @param {Measured} found */
export const talk = async (found) => {
  const socket = new Socket(PROBE);
  try {
    await socket.opened();
    found.socket_seen = (await socket.next()).seen;
    await clocked(found, () => {
      socket.say({ type: "ping" });
      return socket.next();
    });
    found.socket_stream = await pieces(socket);
  } catch {} // the missing figures show it
  socket.ws.close();
};

/**
 * @param {Socket} socket
 * @returns {Promise<Streamed>}
 */
const pieces = async (socket) => {
  /** @type {number[]} */
  const sent = [];
  /** @type {number[]} */
  const came = [];
  const began = performance.now();
  socket.say({ type: "pieces" });
  socket.say({ type: "ping" }); // the pong arrives after the pieces
  for (;;) {
    const frame = await socket.next();
    if (frame.type !== "piece") break;
    sent.push(frame.sent_ms);
    came.push(Math.round(frame.when - began));
  }
  return { sent_ms: sent, came_ms: came, reply: { status: 101, is_ours: true }, encoding: "" };
};

/** @param {number} seconds */
export const silence = async (seconds) => {
  const socket = new Socket(PROBE);
  try {
    await socket.opened();
    await socket.next();
  } catch {
    socket.ws.close();
    return null;
  }
  const began = performance.now();
  socket.say({ type: "silence", seconds });
  let isCut = false;
  try {
    await socket.next(seconds * 1000 + REPLY_MS);
  } catch {
    isCut = true;
  }
  const lasted = Math.min(seconds, (performance.now() - began) / 1000);
  const code = isCut ? (socket.code ?? 1006) : null;
  socket.ws.close();
  return { asked_s: seconds, lasted_s: Number(lasted.toFixed(2)), is_cut: isCut, code };
};

export const question = async () => {
  const socket = new Socket(CHAT);
  /** @type {number[]} */
  const times = [];
  const began = performance.now();
  try {
    await socket.opened();
    socket.say({ type: "chat", message: "Count from one to twenty." });
    for (;;) {
      const frame = await socket.next(ANSWER_MS);
      if (frame.type === "chunk") times.push(Math.round(frame.when - began));
      if (frame.type === "done") return { times_ms: times.slice(0, 500) };
      if (frame.type === "error")
        return {
          times_ms: times.slice(0, 500),
          code: frame.code || "error",
          message: frame.message || "",
        };
    }
  } catch (e) {
    return { times_ms: times.slice(0, 500), code: "cut", message: String(Object(e).message) };
  } finally {
    socket.ws.close();
  }
};
