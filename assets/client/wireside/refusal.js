// @ts-check
// Loaded when handshakes fail: says why a server refuses them.
import { baseOf, STATUS } from "./base.js";

/** @import { WiresideError } from "./errors.js" */

const UNSEEN_AFTER = 6; // failed handshakes, if only the server's presence is known

/** @type {Record<number, string>} */
const HINTS = {
  400: "its trusted hosts do not include this name",
  401: "it has accounts: pass a ticket, a key, or sign in",
  403: "its allowed origins do not include this page's",
  404: "the path is wrong; it ends with /ws/ai-chat",
};
const NO_HINT = "it has accounts (pass a ticket), or does not allow this page's origin";

/**
 * The code and the message of the error that ends the client, if the server refuses it permanently.
 * @param {string} url of the WebSocket
 * @param {{ cause: WiresideError, failures: number, timeoutMs: number, hasTicket: boolean, wasOpen: boolean }} options `cause` of the
 *   last failure, `failures` in a row, `wasOpen`: it was connected before
 */
export async function refusalOf(url, { cause, failures, ...options }) {
  let status = Number(STATUS.exec(cause.message)?.[1] ?? 0); // of the handshake, from ws, Deno and Bun
  status ||= await statusByHttp(url, options).catch(() => 0);
  if (!status || status >= 500 || status === 408 || status === 425 || status === 429) return null;
  const isUnseen = status === 426 || status < 400;
  if (isUnseen && failures < UNSEEN_AFTER) return null;
  const what = `refuses the WebSocket${isUnseen ? "" : ` with ${status}`}`;
  const code = status === 404 ? "not_found" : status === 400 ? "bad_message" : "unauthorized";
  return { code, message: `${url} ${what}: ${HINTS[status] ?? NO_HINT}.` };
}

/**
 * The HTTP status that explains a failed handshake; 426 for a server that is there, 0 if nothing is known. Browsers and
 * Node hide it.
 * @param {string} url of the WebSocket
 * @param {{ timeoutMs: number, hasTicket: boolean, wasOpen: boolean }} options
 */
async function statusByHttp(url, { timeoutMs, hasTicket, wasOpen }) {
  const signal = AbortSignal.timeout(timeoutMs);
  /**
   * @param {string} target
   * @param {RequestMode} [mode]
   */
  const get = async (target, mode) => {
    const response = await fetch(target, { mode, signal, cache: "no-store" });
    response.body?.cancel().catch(() => {});
    return response.status;
  };
  const address = url.replace(/^ws/, "http");
  const own = await get(address).catch(() => 0);
  if (own && own !== 426) return own;
  // readable from another origin only if that is allowed; a ticket is no credential there
  const me = await get(`${baseOf(url)}/api/me`).catch(() => 0);
  if ((me === 401 && !hasTicket) || me >= 500) return me;
  if (me || own) return 0; // it may have refused the handshake for now: too many connections
  await get(address, "no-cors"); // rejects without a server; hides the status
  return wasOpen ? 0 : 426; // connected before: a proxy with a restarting server looks the same
}
