// @ts-check

/**
 * The HTTP status that explains a failed handshake; 426 for a server that is there, 0 if nothing is known.
 * @param {string} url of the WebSocket
 * @param {{ timeoutMs: number, hasTicket: boolean, wasOpen: boolean }} options `wasOpen`: it was connected before
 */
export async function statusByHttp(url, { timeoutMs, hasTicket, wasOpen }) {
  const address = url.replace(/^ws/, "http");
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
  const own = await get(address).catch(() => 0);
  if (own && own !== 426) return own;
  const account = address.replace(/\/ws\/ai-chat\/?$/, "/api/me");
  const me = hasTicket ? 0 : await get(account).catch(() => 0);
  if (me === 401 || me >= 500 || own) return me >= 400 ? me : own;
  if (me) return 426;
  await get(address, "no-cors"); // rejects without a server; hides the status
  return wasOpen ? 0 : 426; // connected before: a proxy with a restarting server looks the same
}
