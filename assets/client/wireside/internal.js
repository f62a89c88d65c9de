// @ts-check
// Types that the modules of the client share, and programs do not see.

/** @import { Answer } from "./answer.js" */
/** @import { Batch } from "./batch.js" */
/** @import { Message } from "./thread.js" */
/** @import { AskOptions, Reason } from "./types.js" */

/**
 * @typedef {WebSocket & { terminate?: () => void }} Socket `terminate` exists in the package `ws`
 * @typedef {Answer | Batch} Request
 * @typedef {{ type: string, id: string, code: string, message: string, content: string, reason: Reason } & { [key: string]: any }} Frame a
 *   frame of the server, with the fields of all types
 * @typedef {{ type: string, [key: string]: unknown }} Sent a frame of the client
 *
 * @typedef {object} Owner the client of an answer or batch
 * @property {(request: Request, index?: number | null) => void} _stop
 * @property {(conversation: string, part: string, value: unknown, options?: { signal?: AbortSignal }) => Answer} reply
 *
 * @typedef {object} Asking what a conversation needs of its client
 * @property {(message: string, options?: AskOptions) => Answer} ask
 * @property {(messages: string[], options?: AskOptions) => Batch} batch
 *
 * @typedef {{ stream: string, state: string, reason: string | null, parts: { type: string, text: string }[] }} StoredStream
 * @typedef {{ question: string, created_at: string, answer: StoredStream[] }} StoredTurn of the REST API
 * @typedef {[asked: Message | null, answer: Message | null]} Turn of a thread
 */

export {};
