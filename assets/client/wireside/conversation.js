// @ts-check

/** @import { Answer } from "./answer.js" */
/** @import { Batch } from "./batch.js" */
/** @import { AskOptions, Request } from "./types.js" */

/**
 * @typedef {object} Asking what a conversation needs of its client
 * @property {(message: string, options?: AskOptions) => Answer} ask
 * @property {(messages: string[], options?: AskOptions) => Batch} batch
 */

/** A stored conversation. `id` is null until the first answer has started. */
export class Conversation {
  #client;
  /** @type {Request | null} */
  #opener = null;

  /**
   * @param {Asking} client
   * @param {string | null} id
   */
  constructor(client, id) {
    this.#client = client;
    this.id = id;
  }

  /** Ask in it. @param {string} message @param {AskOptions} [options] */
  ask(message, options) {
    return this.#client.ask(message, { ...options, conversation: this });
  }

  /** Ask several questions in it. @param {string[]} messages @param {AskOptions} [options] */
  batch(messages, options) {
    return this.#client.batch(messages, { ...options, conversation: this });
  }

  /**
   * The id to send with a request; null while another one opens the conversation.
   * @param {Request} request
   */
  _idFor(request) {
    if (this.id) return this.id;
    if (!this.#opener || this.#opener._isOver) this.#opener = request; // the previous one failed
    return this.#opener === request ? "new" : null;
  }
}
