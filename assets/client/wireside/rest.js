// @ts-check
// Loaded at the first request of the REST API.
import { baseOf, STATUS } from "./base.js";

/** @import { Answer } from "./answer.js" */
/** @import { Wireside } from "./client.js" */
/** @import { errorOf } from "./errors.js" */
/** @import { StoredTurn, Turn } from "./internal.js" */
/** @import { Message } from "./thread.js" */
/** @import { Options } from "./types.js" */

/**
 * Request a path of the REST API. Rejects with a WiresideError when the server refuses; its message then ends with
 * the status.
 * @param {{ url: string, token: Options["token"], newError: typeof errorOf }} client `url` of the WebSocket; `newError`
 *   is passed, as an import would divide the core into two files
 * @param {string} path such as `/api/models`
 * @param {RequestInit} [init]
 */
export async function request({ url, token, newError }, path, init = {}) {
  const headers = new Headers(init.headers);
  const bearer = typeof token === "function" ? await token() : token;
  if (bearer) headers.set("Authorization", `Bearer ${bearer}`);
  const response = await fetch(baseOf(url) + path, { ...init, headers });
  if (response.ok) return response;
  const { status } = response;
  const told = await response.json().catch(() => ({}));
  const code = status === 401 || status === 403 ? "unauthorized" : "internal";
  throw newError({
    code,
    ...told,
    message: `${told.message ?? "The request was refused"}: ${status}`,
  });
}

/**
 * @param {Wireside} client
 * @param {Blob | Uint8Array<ArrayBuffer> | ArrayBuffer | string} body
 * @param {{ name?: string, signal?: AbortSignal }} [options]
 */
export async function upload(client, body, { name = Object(body).name ?? "file", signal } = {}) {
  const path = `/api/uploads?name=${encodeURIComponent(name)}`;
  return (await client.api(path, { method: "POST", body, signal })).json();
}

/**
 * The subprotocols of a handshake with a ticket. Rejects with an error that says whether a server refused the ticket.
 * @param {Wireside} client
 * @param {(() => string | Promise<string>) | undefined} ticket returns a ticket; without it, one is fetched in exchange
 *   for the client's token
 */
export async function protocols(client, ticket = () => ticketFor(client)) {
  try {
    const value = await ticket();
    if (!value) throw new Error("none: 401"); // as without a ticket
    return ["ai-chat", `ticket.${value}`];
  } catch (error) {
    const message = `The ticket could not be fetched: ${Object(error).message ?? error}`;
    throw Object.assign(new Error(message), { isRefusal: STATUS.test(message) });
  }
}

/** @param {Wireside} client */
async function ticketFor(client) {
  return (await (await client.api("/api/tickets", { method: "POST" })).json()).ticket;
}

/**
 * The latest turns of a conversation, as the REST API describes them.
 * @param {Wireside} client
 * @param {unknown} conversation
 * @returns {Promise<StoredTurn[]>}
 */
export async function turnsOf(client, conversation) {
  return (await (await client.api(`/api/conversations/${conversation}`)).json()).turns;
}

/**
 * The last stream of a conversation.
 * @param {Wireside} client
 * @param {unknown} conversation
 */
export async function lastStream(client, conversation) {
  const turns = await turnsOf(client, conversation);
  return /** @type {string} */ (turns.at(-1)?.answer.at(-1)?.stream);
}

/**
 * The turns of a stored conversation, for a thread, and a function that follows the last answer, if that
 * goes on or has an open question.
 * @param {Wireside} client
 * @param {string} conversation
 * @param {(role: "user" | "assistant", content: string, timestamp: number) => Message} messageOf
 * @returns {Promise<{ turns: Turn[], goOn: (() => Answer) | undefined }>}
 */
export async function history(client, conversation, messageOf) {
  const stored = await turnsOf(client, conversation);
  const last = stored.at(-1)?.answer.at(-1);
  const isOpen = last && (last.state === "live" || last.reason === "asking");
  const turns = stored.map(({ question, created_at, answer }) => {
    const at = Date.parse(created_at);
    const parts = answer.filter((one) => !isOpen || one !== last).flatMap(({ parts }) => parts);
    const written = parts.map(({ type, text }) => (type === "text" ? text : "")).join("");
    return /** @type {Turn} */ ([
      messageOf("user", question, at),
      written ? messageOf("assistant", written, at) : null,
    ]);
  });
  const goOn = () => Object.assign(client.follow(last?.stream ?? ""), { conversation });
  return { turns, goOn: isOpen ? goOn : undefined };
}
