// @ts-check

/**
 * Why an answer or a request has failed. `code` is one of the protocol's, or "closed"; `retryable` says whether the
 * same request may succeed later, `retryAfter` when, in seconds.
 */
export class WiresideError extends Error {
  name = "WiresideError";

  /** @param {{ message: string, code?: string, retryable?: boolean, retry_after?: number | null }} frame */
  constructor({ message, code = "closed", retryable = false, retry_after = null }) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfter = retry_after;
  }
}

/** The client was closed, or the server has ended it. */
export class ClosedError extends WiresideError {
  name = "ClosedError";
}

/** The server or the user's allowance is exhausted for now: `rate_limited`, `too_many`, `overloaded`. */
export class LimitError extends WiresideError {
  name = "LimitError";
}

/** The account, key or ticket does not permit this: `unauthorized`. */
export class AccessError extends WiresideError {
  name = "AccessError";
}

/** The answer, conversation or upload does not exist here: `not_found`, `expired`, `bad_offset`. */
export class NotFoundError extends WiresideError {
  name = "NotFoundError";
}

/** The model service failed or refused: `provider_…`, `context_too_long`, `content_filter`, `not_configured`. */
export class ModelError extends WiresideError {
  name = "ModelError";
}

/** The request itself is wrong: `bad_message`, `too_large`, `unknown_model`, `invalid_attachment`, … */
export class RequestError extends WiresideError {
  name = "RequestError";
}

/** @type {[RegExp, typeof WiresideError][]} */
const CLASSES = [
  [/^cl/, ClosedError],
  [/^(rat|too_m|ov)/, LimitError],
  [/^una/, AccessError],
  [/^(not_f|ex|bad_o)/, NotFoundError],
  [/^(pr|con|not_c)/, ModelError],
  [/^(bad|too_l|unk|inv|al)/, RequestError],
  [/./, WiresideError],
];

/** @internal @param {ConstructorParameters<typeof WiresideError>[0]} frame */
export function errorOf(frame) {
  const found = CLASSES.find(([pattern]) => pattern.test(frame.code ?? "closed"));
  return new /** @type {typeof CLASSES[0]} */ (found)[1](frame);
}

/**
 * @internal
 * @param {string} [message]
 * @param {boolean} [retryable]
 */
export const closedError = (message = "The client was closed.", retryable = false) =>
  errorOf({ message, retryable });
