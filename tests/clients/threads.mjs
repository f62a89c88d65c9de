// A WebSocket and a REST API in the same process, for programs with the modules of the client.
export const sockets = [];
export const frames = []; // that the client has sent, without pings
export const server = { onFrame: () => {}, isDown: false };

/** A socket that opens at once, and passes what is sent to `server.onFrame(frame, send, socket)`. */
export class WebSocket {
  readyState = 0;

  constructor() {
    sockets.push(this);
    queueMicrotask(() => {
      if (server.isDown) return this.onclose?.({ code: 1006, reason: "" });
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(text) {
    const frame = JSON.parse(text);
    if (frame.type === "ping") return server.onPing?.(frame, this);
    frames.push(frame);
    queueMicrotask(() => server.onFrame(frame, (told) => this.receive(told), this));
  }

  receive(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  close(code = 1000, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** Send a whole answer. */
export function say({ id }, send, text, more = {}) {
  send({ type: "start", id, stream: `s-${text}`, model: "m", ...more });
  send({ type: "chunk", id, content: text, offset: text.length });
  send({ type: "done", id, offset: text.length, reason: "stop" });
}

export const sent = (type) => frames.filter((frame) => frame.type === type);
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const until = async (isSo) => {
  while (!isSo()) await sleep(2);
};
export const quick = () => (Math.random = () => 0.01);
export const codeOf = (promise) =>
  promise.then(
    () => null,
    (error) => error.code ?? error.name,
  );

/**
 * Replace the timers and the clock by a clock that only moves on by `minute()`: it runs the timers that are due, as a
 * browser does once a minute in a tab that has been in the background for long.
 */
export function background() {
  const real = globalThis.setTimeout;
  const timers = new Map();
  let now = 1000;
  let count = 0;
  globalThis.performance.now = () => now;
  globalThis.setTimeout = (work, ms = 0) => (timers.set(++count, { work, at: now + ms }), count);
  globalThis.clearTimeout = (id) => timers.delete(id);
  const settle = () => new Promise((resolve) => real(resolve, 0));
  return {
    settle,
    async minute() {
      now += 60_000;
      for (const [id, { work, at }] of [...timers])
        if (at <= now && timers.delete(id)) {
          work();
          await settle();
        }
    },
  };
}
