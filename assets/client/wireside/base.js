// @ts-check
// Loaded at the first request of the REST API, and when handshakes fail.

/** At the end of an error's message, where it is known. */
export const STATUS = /: (\d{3})$/;

/**
 * The address that the paths of the REST API are appended to.
 * @param {string} url of the WebSocket
 */
export const baseOf = (url) => url.replace(/^ws/, "http").replace(/\/ws\/ai-chat\/?(\?.*)?$/, "");
