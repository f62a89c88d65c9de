// @ts-check
// A client for the WebSocket /ws/ai-chat (level 2), in one file without dependencies: browsers, Node, Deno, Bun.
//
//   import { Wireside } from "/assets/client/wireside.js";
//   const chat = new Wireside("ws://127.0.0.1:8080/ws/ai-chat");
//   for await (const piece of chat.ask("What is a WebSocket?")) show(piece);
//
// Answers survive the connection: when it drops, the client reconnects and resumes each answer at its offset, so
// that no text is lost or repeated. Node 20 has no WebSocket: pass `{ WebSocket }` of the package `ws`.

/** @import { Answer } from "./answer.js" */
/** @import { Batch } from "./batch.js" */
/** @import { Conversation } from "./conversation.js" */

/**
 * @typedef {"connecting" | "connected" | "waiting" | "closed"} State
 * @typedef {"stop" | "length" | "cancelled" | "content_filter" | "interrupted"} Reason
 * @typedef {{ input_tokens: number | null, output_tokens: number | null }} Usage
 * @typedef {{ role: "system" | "user" | "assistant", content: string }} Message
 * @typedef {{ call: string, name: string, state: "requested" | "running" | "done" | "failed", arguments: string, result?: string }} Tool
 * @typedef {{ type: "chunk" | "reasoning", content: string } | ({ type: "tool" } & Tool)} Part
 *
 * @typedef {object} AskOptions
 * @property {string} [model] default: the server's
 * @property {Message[]} [messages] earlier turns, for a question that is not stored
 * @property {string | Conversation} [conversation] continue and store there; "new" opens one
 * @property {string} [system]
 * @property {number} [temperature] 0 to 2
 * @property {number} [max_tokens]
 * @property {string[]} [attachments] ids of uploads (POST /api/uploads)
 * @property {boolean} [sanitize] escape `<script`
 * @property {string} [key] identifies the request: the same key gives the same answer (default: random)
 * @property {AbortSignal} [signal] stops the answer, which then fails with the signal's reason
 *
 * @typedef {object} Options
 * @property {(state: State, error: Error | null) => unknown} [onState] `error`: why it is waiting or closed
 * @property {SocketClass} [WebSocket] a class to use instead of the global one (`webSocket` is the same)
 * @property {SocketClass} [webSocket]
 * @property {(() => string | Promise<string>) | null} [ticket] returns a fresh ticket (POST /api/tickets, called by
 *   your own server) before each connection: for pages of other origins on servers with accounts
 * @property {number} [pingMs] between pings, 30,000 by default
 * @property {number} [timeoutMs] for opening, and for any frame after a ping: 15,000 by default
 *
 * @typedef {new (url: string, protocols: string[]) => any} SocketClass
 */

// Of the client itself
/**
 * @typedef {WebSocket & { terminate?: () => void }} Socket `terminate` exists in the package `ws`
 * @typedef {Answer | Batch} Request
 * @typedef {{ type: string, id: string, code: string, message: string, content: string, reason: Reason } & { [key: string]: any }} Frame a
 *   frame of the server, with the fields of all types
 * @typedef {{ type: string, [key: string]: unknown }} Sent a frame of the client
 * @typedef {{ _stop: (request: Request) => void }} Owner the client of an answer or batch
 */
export {};
