// @ts-check

/** Milliseconds on a monotonic clock. */
export const now = () => performance.now();

/** Timers by name: a later one replaces an earlier one of the same name. */
export const timers = () => {
  /** @type {Map<unknown, ReturnType<typeof setTimeout>>} */
  const running = new Map();

  /** @param {unknown} name */
  const clear = (name) => {
    clearTimeout(running.get(name));
    running.delete(name);
  };

  return {
    /**
     * @param {unknown} name
     * @param {number} ms
     * @param {() => void} work
     */
    _after: (name, ms, work) => {
      clear(name);
      const run = () => {
        running.delete(name);
        work();
      };
      running.set(name, setTimeout(run, ms));
    },
    /** @param {unknown} name */
    _has: (name) => running.has(name),
    _clear: clear,
    _clearAll: () => running.forEach((_, name) => clear(name)),
  };
};
