// A WebSocket of the connection doctor.
import { base, object, REPLY_MS } from "./requests.js";

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Returns frames one after another, so that a measurement can be written sequentially. `next` throws when it is closed.
export class Socket {
  constructor(path) {
    this.frames = [];
    this.code = null;
    this.wake = () => {};
    this.isOpen = false;
    this.ws = new WebSocket(`${location.origin.replace("http", "ws")}${base}${path}`);
    this.ws.onopen = () => {
      this.isOpen = true;
      this.wake();
    };
    this.ws.onmessage = (e) => {
      this.frames.push([e.data, performance.now()]);
      this.wake();
    };
    this.ws.onclose = (e) => {
      this.code = e.code;
      this.wake();
    };
  }

  async until(isSo, ms) {
    const end = performance.now() + ms;
    while (!isSo()) {
      const left = end - performance.now();
      if (left <= 0) throw new Error("no answer in time");
      const woken = new Promise((done) => {
        this.wake = done;
      });
      await Promise.race([woken, pause(left)]);
    }
  }

  async opened() {
    await this.until(() => this.isOpen || this.code !== null, REPLY_MS);
    if (!this.isOpen) throw new Error("it does not open");
  }

  async next(ms = REPLY_MS) {
    await this.until(() => this.frames.length > 0 || this.code !== null, ms);
    if (!this.frames.length) throw new Error("closed");
    const [text, when] = this.frames.shift();
    return { ...object(text), when };
  }

  say(frame) {
    this.ws.send(JSON.stringify(frame));
  }
}
