// @ts-check
/** @import { Answer } from "./answer.js" */
/** @import { Conversation } from "./conversation.js" */
/** @import { WiresideError } from "./errors.js" */

/**
 * @typedef {"connecting" | "connected" | "waiting" | "closed"} State
 * @typedef {"stop" | "length" | "cancelled" | "content_filter" | "interrupted" | "asking"} Reason
 * @typedef {{ input_tokens: number | null, output_tokens: number | null }} Usage
 * @typedef {{ role: "system" | "user" | "assistant", content: string }} ContextMessage an earlier turn
 *
 * @typedef {{ type: "chunk" | "reasoning", content: string }} TextPart
 * @typedef {{ call: string, name: string, state: "requested" | "running" | "done" | "failed", arguments: string, result?: string }} Tool
 * @typedef {{ kind: string, text: string, data?: any, part?: string, truncated?: boolean }} DataPart a step, a
 *   source, a table …: the protocol's section "Parts" describes the `data` of each `kind`
 * @typedef {DataPart & { kind: "question", part: string, data: { id: string, type: "approve" | "choose" | "form" | "text" | "file", prompt: string, [field: string]: any } }} Question
 * @typedef {TextPart | ({ type: "tool" } & Tool) | ({ type: "part" } & DataPart)} Part
 * @typedef {{ id: string, name: string, media_type: string, size_bytes: number, created_at: string }} Upload
 * @typedef {{ done: number, failed: number, cancelled: number }} BatchSummary
 * @typedef {{ index: number, text: string, reason: Reason | null, error: WiresideError | null }} BatchResult
 *   `text` is what was written, also when the answer has failed
 * @typedef {{ messagesPerSecond: number, averageLatency: number, reconnectCount: number }} ClientMetrics
 *   frames received per second, over some 5 s; milliseconds of pings, later ones count more; reconnections
 *
 * @typedef {object} AskOptions
 * @property {string} [model] default: the server's
 * @property {ContextMessage[]} [messages] earlier turns, for a question that is not stored
 * @property {string | Conversation} [conversation] continue and store there; "new" opens one
 * @property {string} [system]
 * @property {number} [temperature] 0 to 2
 * @property {number} [max_tokens]
 * @property {{ [name: string]: unknown }} [options] the model's own options
 * @property {string[]} [attachments] ids of uploads
 * @property {boolean} [steer] end an answer that runs in the conversation, and go on from it
 * @property {boolean} [sanitize] escape `<script`
 * @property {string} [key] identifies the request: the same key gives the same answer (default: random)
 * @property {number} [max_frame_bytes] size of the largest frame, 8,000 by default
 * @property {AbortSignal} [signal] stops the answer, which then fails with the signal's reason
 * @property {boolean} [keep] false: `soFar`, `text`, `reasoning`, `tools` and `dataParts` stay empty, so that the
 *   memory of an answer without end is flat; iterate it at once
 *
 * @typedef {AskOptions & { parallel?: number }} BatchOptions `parallel`: questions that are answered at once, 1 to 8;
 *   more than 1 not in a conversation
 *
 * @typedef {object} Options
 * @property {(state: State, error: WiresideError | null) => unknown} [onState] the same as `on("state", …)`
 * @property {string | (() => string | Promise<string>)} [token] an API key or another bearer token, or a function that
 *   returns a fresh one before each connection; not for pages, where it would be public
 * @property {() => string | Promise<string>} [ticket] returns a fresh ticket (POST /api/tickets, called by your own
 *   server) before each connection: for pages of other origins on servers with accounts
 * @property {SocketClass} [WebSocket] a class to use instead of the global one
 * @property {number} [pingMs] between pings, 30,000 by default
 * @property {number} [timeoutMs] for opening, and for any frame after a ping: 20,000 by default
 *
 * @typedef {new (url: string, protocols: string[]) => any} SocketClass
 * @typedef {{ state: [State, WiresideError | null] }} ClientEvents the arguments of the listeners, by event
 * @typedef {{ start: [Answer], chunk: [TextPart], reasoning: [TextPart], tool: [Tool], part: [DataPart], done: [Answer], error: [unknown] }} AnswerEvents
 */

export {};
