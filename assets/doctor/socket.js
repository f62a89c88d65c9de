// A WebSocket of the connection doctor.
import { base, object, REPLY_MS } from "./requests.js";

/** @param {number} ms */
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Returns frames one after another, so that a measurement can be written sequentially. `next` throws when it is closed.
export class Socket {
  /** @param {string} path */
  constructor(path) {
    /** @type {[text: string, when: number][]} */
    this.frames = [];
    /** @type {number | null} */
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

  /**
   * @param {() => boolean} isSo
   * @param {number} ms
   */
  async until(isSo, ms) {
    const end = performance.now() + ms;
    while (!isSo()) {
      const left = end - performance.now();
      if (left <= 0) throw new Error("no answer in time");
      const woken = new Promise((done) => {
        this.wake = () => done(undefined);
      });
      await Promise.race([woken, pause(left)]);
    }
  }

  async opened() {
    await this.until(() => this.isOpen || this.code !== null, REPLY_MS);
    if (!this.isOpen) throw new Error("it does not open");
  }

  /** @returns {Promise<Record<string, any> & Told>} */
  async next(ms = REPLY_MS) {
    await this.until(() => this.frames.length > 0 || this.code !== null, ms);
    const first = this.frames.shift();
    if (!first) throw new Error("closed");
    const [text, when] = first;
    return /** @type {Record<string, any> & Told} */ ({ ...object(text), when });
  }

  /** @param {object} frame */
  say(frame) {
    this.ws.send(JSON.stringify(frame));
  }
}
