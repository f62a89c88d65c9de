// @ts-check

/**
 * Calls listeners by the name of an event. A listener that fails does not affect others.
 * @template {{ [name: string]: unknown[] }} Events the arguments of the listeners, by event
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(...values: any[]) => unknown>>} */
  #listeners = new Map();

  /**
   * Call `listener` at each event of this name. Returns a function that removes it.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(...values: Events[Name]) => unknown} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * @internal
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} values
   */
  _emit(name, ...values) {
    for (const listener of this.#listeners.get(name) ?? [])
      (async () => listener(...values))().catch(console.error);
  }
}
