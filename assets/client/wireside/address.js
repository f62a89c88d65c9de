// @ts-check

// The scheme's end and what follows to the last slash, the path of a WebSocket, the query.
const PARTS = /^(?:http|ws)(s?:[^?#]*?)(?:(\/ai-chat\/?)|\/?)(\?[^#]*)?(?:#|$)/;

/**
 * The address of the WebSocket.
 * @internal
 * @param {string | URL} url
 */
export function addressOf(url = "/ws/ai-chat") {
  const page = globalThis.location?.href ?? "no:/"; // so that a path alone is none
  const parts = PARTS.exec(new URL(url, page).href);
  if (!parts) throw new TypeError(`${url} is no address of a server`);
  return `ws${parts[1]}${parts[2] ?? "/ws/ai-chat"}${parts[3] ?? ""}`;
}
