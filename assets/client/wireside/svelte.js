// @ts-check
import { derived, readable } from "svelte/store";
import { threadOf } from "./thread.js";

/** @import { Readable } from "svelte/store" */
/** @import { ChatActions, ChatOptions, ChatState } from "./thread.js" */

/**
 * A chat: its messages as stores, and the functions that change it. The connection is open while one of the stores
 * has a subscriber; all components of a page share one for each address.
 * @param {ChatOptions} [options]
 * @returns {{ [name in keyof ChatState]: Readable<ChatState[name]> } & ChatActions}
 */
export function useAIWebSocket(options = {}) {
  const thread = threadOf(options);
  const state = readable(thread.read(), (set) => {
    if (!globalThis.document) return; // while a server renders
    return thread.subscribe(() => set(thread.read()));
  });
  const names = /** @type {(keyof ChatState)[]} */ (Object.keys(thread.read()));
  const stores = names.map((name) => [name, derived(state, (current) => current[name])]);
  return { ...Object.fromEntries(stores), ...thread.actions };
}
