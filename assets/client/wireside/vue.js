// @ts-check
import { computed, getCurrentInstance, onMounted, onScopeDispose, shallowRef } from "vue";
import { threadOf } from "./thread.js";

/** @import { ComputedRef } from "vue" */
/** @import { ChatActions, ChatOptions, ChatState } from "./thread.js" */

/**
 * A chat: its messages as references, and the functions that change it. All components of a page share one connection
 * for each address.
 * @param {ChatOptions} [options]
 * @returns {{ [name in keyof ChatState]: ComputedRef<ChatState[name]> } & ChatActions}
 */
export function useAIWebSocket(options = {}) {
  const thread = threadOf(options);
  const state = shallowRef(thread.read());
  const start = () => onScopeDispose(thread.subscribe(() => (state.value = thread.read())));
  if (getCurrentInstance())
    onMounted(start); // not while a server renders
  else start();
  const names = /** @type {(keyof ChatState)[]} */ (Object.keys(state.value));
  const references = names.map((name) => [name, computed(() => state.value[name])]);
  return { ...Object.fromEntries(references), ...thread.actions };
}
