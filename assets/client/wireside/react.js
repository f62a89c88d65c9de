// @ts-check
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { threadOf } from "./thread.js";

/** @import { ChatActions, ChatOptions, ChatState } from "./thread.js" */

/**
 * A chat: its messages, and the functions that change it. All components of a page share one connection for each
 * address.
 * @param {ChatOptions} [options]
 * @returns {ChatState & ChatActions}
 */
export function useAIWebSocket(options = {}) {
  const { url, conversation } = options;
  const address = url && String(url);
  // the other options are read with each question
  const thread = useMemo(() => threadOf(options), [address, conversation]);
  useEffect(() => {
    thread.options = options;
  });
  const state = useSyncExternalStore(thread.subscribe, thread.read, thread.read);
  return { ...state, ...thread.actions };
}
