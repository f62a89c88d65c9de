// @ts-check

/** Milliseconds on a monotonic clock. */
export const now = () => performance.now();

/** Timers by name: a later one replaces an earlier one of the same name. */
export class Timers {
  /** @type {Map<unknown, ReturnType<typeof setTimeout>>} */
  #timers = new Map();

  /**
   * @param {unknown} name
   * @param {number} ms
   * @param {() => void} work
   */
  after(name, ms, work) {
    this.clear(name);
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      work();
    }, ms);
    this.#timers.set(name, timer);
  }

  /** @param {unknown} name */
  has(name) {
    return this.#timers.has(name);
  }

  /** @param {unknown} name */
  clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  clearAll() {
    for (const name of [...this.#timers.keys()]) this.clear(name);
  }
}
