// @ts-check

/** @import { Answer } from "./answer.js" */
/** @import { Batch } from "./batch.js" */
/** @import { Asking, Request } from "./internal.js" */
/** @import { AskOptions } from "./types.js" */

/** A stored conversation. `id` is null until the first answer has started. */
export class Conversation {
  /** @internal */ _client;
  /** @type {Request | null} */
  #opener = null;

  /**
   * @internal
   * @param {Asking} client
   * @param {string | null} id
   */
  constructor(client, id) {
    this._client = client;
    this.id = id;
  }

  /** Ask in it. @param {string} message @param {AskOptions} [options] */
  ask(message, options) {
    return this._client.ask(message, { ...options, conversation: this });
  }

  /** Ask several questions in it. @param {string[]} messages @param {AskOptions} [options] */
  batch(messages, options) {
    return this._client.batch(messages, { ...options, conversation: this });
  }

  /**
   * The id to send with a request; null while another one opens the conversation.
   * @internal
   * @param {Request} request
   */
  _idFor(request) {
    const opener = this.#opener ?? request;
    // One that was aborted may still open it, until the server has ended it.
    const hasFailed = opener._isOver && !opener._isSent && !opener._isHeld;
    this.#opener = hasFailed ? request : opener;
    return this.id ?? (this.#opener === request ? "new" : null);
  }
}
