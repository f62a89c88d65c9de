// @ts-check
import { Answer } from "./answer.js";
import { Conversation } from "./conversation.js";
import { WiresideError } from "./errors.js";

/** @import { Frame, Owner, Reason, Sent } from "./types.js" */

const WHOLE_BATCH = new Set([
  "bad_json",
  "bad_message",
  "too_large",
  "unknown_type",
  "rate_limited",
]);

/** Several questions, answered one after another: `for (const answer of batch) for await (const piece of answer) …` */
export class Batch {
  #client;
  #next = 0; // the index of the next answer on this connection
  /** @type {number | null} */
  #current = null;
  /** @type {Answer | null} */
  #resumed = null;
  /** @type {string | null} */
  #conversationId = null; // as first sent: the server matches it together with the key
  _isSent = false;
  _isStopping = false;
  _isHeld = false;
  _sends = 0;
  _hasBegun = false;

  /**
   * @param {Owner} client
   * @param {Sent & { messages: string[] }} request
   */
  constructor(client, request) {
    this.#client = client;
    this.request = request;
    this.id = "";
    /** @type {string | null} None: a batch is resumed by its answers. */
    this.stream = null;
    this.answers = request.messages.map(() => new Answer(client, null));
    this.answers.forEach((answer, index) => {
      answer.index = index;
      answer.stop = () => this.stop();
    });
  }

  [Symbol.iterator]() {
    return this.answers[Symbol.iterator]();
  }

  /** Stop the running answer and those behind it. */
  stop() {
    this.#client._stop(this);
  }

  get _answers() {
    return this.answers;
  }

  get _isOver() {
    return this.answers.every((answer) => answer._isOver);
  }

  /**
   * After a drop: the rest of the started answer, then, by the batch's key, those behind it.
   * @returns {Sent | null}
   */
  _frame() {
    this.#next = 0;
    this.#current = null;
    this.#resumed = this.answers.find((answer) => answer.stream && !answer._isOver) ?? null;
    if (this.#resumed) return this.#resumed._frame();
    const { conversation } = this.request;
    const frame = { ...this.request, offsets: this.answers.map((answer) => answer.offset) };
    if (!(conversation instanceof Conversation)) return frame;
    this.#conversationId ??= conversation._idFor(this);
    return this.#conversationId ? { ...frame, conversation: this.#conversationId } : null;
  }

  /**
   * Returns whether the frame is the last one.
   * @param {Frame} frame
   */
  _take(frame) {
    const isLast = frame.type === "done" || frame.type === "error";
    if (this.#resumed) return this.#resumed._take(frame);
    const at = frame.index ?? this.#current ?? this.#next;
    const isFirst = !this._hasBegun && frame.index === undefined && !this.answers[0]._isOver;
    if (frame.type === "error" && isFirst && WHOLE_BATCH.has(frame.code)) {
      this._fail(new WiresideError(frame)); // the whole batch was refused
      return true;
    }
    if (frame.type === "start") {
      this.#current = at;
      const { conversation } = this.request;
      if (conversation instanceof Conversation) conversation.id ??= frame.conversation ?? null;
    }
    this.answers[at]?._take(frame);
    if (isLast) {
      this.#next = at + 1;
      this.#current = null;
    }
    return isLast && this._isOver;
  }

  /** @param {Reason} reason */
  _end(reason) {
    for (const answer of this.answers) answer._end(reason);
  }

  /** @param {unknown} error */
  _fail(error) {
    for (const answer of this.answers) answer._fail(error);
  }
}
