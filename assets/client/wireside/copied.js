// @ts-check

/** @import { Sent } from "./internal.js" */

/**
 * A copy of a request's frame, because each resend must be identical, or why it can't be sent.
 * @param {Sent} given
 * @returns {{ frame: Sent, fault: unknown }}
 */
export function copied({ conversation, ...given }) {
  let frame = { key: randomKey(), ...given, id: undefined }; // ids are this client's
  let fault;
  try {
    frame = JSON.parse(JSON.stringify(frame, wellFormed));
  } catch (error) {
    fault = error;
  }
  return { frame: Object.assign(frame, conversation && { conversation }), fault };
}

/** 128 random bits; `crypto.randomUUID` is missing on pages of plain http. */
const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/**
 * Replaces lone surrogates, which the protocol rejects.
 * @param {string} _
 * @param {unknown} value
 */
const wellFormed = (_, value) => (typeof value === "string" ? value.toWellFormed() : value);
