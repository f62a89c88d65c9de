// @ts-check

/** Why an answer ended without `done`. `code` is one of the protocol's, or "closed"; `retryAfter` is in seconds. */
export class WiresideError extends Error {
  /** @param {{ message: string, code?: string, retryable?: boolean, retry_after?: number | null }} frame */
  constructor({ message, code = "closed", retryable = false, retry_after = null }) {
    super(message);
    this.name = "WiresideError";
    this.code = code;
    this.retryable = retryable;
    this.retryAfter = retry_after;
  }
}

/** @returns {WiresideError} */
export const closedError = () => new WiresideError({ message: "The client was closed." });

/** @param {string} message */
export const lostError = (message) => new WiresideError({ message, retryable: true });

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));
