// @ts-check
import { Answer } from "./answer.js";
import { errorOf } from "./errors.js";
import { Tracked } from "./request.js";

/** @import { Frame, Owner, Sent } from "./internal.js" */
/** @import { BatchResult, BatchSummary, Reason } from "./types.js" */

/**
 * Several questions: `for (const answer of batch) for await (const piece of answer) …` in the order of the questions,
 * `for await (const answer of batch) …` in the order in which their answers end.
 * @extends {Tracked<{}>}
 */
export class Batch extends Tracked {
  #client;
  /** @type {number | null} */
  #current = null; // index of the answer whose frames arrive
  #hasEnded = false;
  /** @internal @type {string | null} */ stream = null; // it is requested again by its key
  /** @internal @type {Sent & { messages: string[], parallel?: number }} */ _request;
  /**
   * @internal
   * @param {Owner} client
   * @param {Sent & { messages: string[], parallel?: number }} request
   * @param {boolean} [keep]
   */
  constructor(client, request, keep) {
    super();
    this.#client = client;
    this._request = request;
    /** @type {BatchSummary | null} How many answers are done, failed and cancelled: after the end, with `parallel`. */
    this.summary = null;
    this.answers = request.messages.map(() => new Answer(client, null, keep));
    this.answers.forEach((answer, index) => {
      answer.index = index;
      answer.stop = () => {
        answer._isStopping = true;
        client._stop(this, index);
      };
    });
  }

  [Symbol.iterator]() {
    return this.answers[Symbol.iterator]();
  }

  /** Yields each answer once it has ended, also one that has failed. */
  async *[Symbol.asyncIterator]() {
    const left = new Map(this.answers.map((answer) => [answer, answer._ended.then(() => answer)]));
    while (left.size) {
      const answer = await Promise.race(left.values());
      left.delete(answer);
      yield answer;
    }
  }

  /** The result of each question, in their order, when all have ended. Does not reject. @returns {Promise<BatchResult[]>} */
  get results() {
    return Promise.all(
      this.answers.map(async (answer, index) => {
        const error = await answer._ended;
        return { index, text: answer.soFar, reason: answer.reason, error };
      }),
    );
  }

  /** Stop all answers; each has a method `stop` too. */
  stop() {
    this.#client._stop(this);
  }

  /** @internal */
  get _answers() {
    return this.answers;
  }

  /** @internal Streams of the connection that it counts as. */
  get _weight() {
    return Math.min(this._request.parallel ?? 1, this.answers.length);
  }

  /** @internal */
  get _isOver() {
    const isComplete = this.#hasEnded || !this._request.parallel;
    return isComplete && this.answers.every((answer) => answer._isOver);
  }

  /**
   * Each answer goes on at its offset: the key names the batch.
   * @internal
   * @returns {Sent}
   */
  _frame() {
    this.#current = null;
    return { ...this._request, offsets: this.answers.map((answer) => answer.offset) };
  }

  /** @internal Answers to stop, by index; null: all. @returns {(number | null)[]} */
  get _stopped() {
    if (this._isStopping) return [null];
    return this.answers.flatMap((answer, index) => (answer._isStopping ? [index] : []));
  }

  /**
   * Returns whether the frame is the last one.
   * @internal
   * @param {Frame} frame
   */
  _take(frame) {
    const { type, index } = frame;
    if (type === "batch_done") {
      const { done, failed, cancelled } = frame;
      this.summary = { done, failed, cancelled };
      this.#hasEnded = true;
      return true;
    }
    if (type === "error" && index === undefined) {
      this._fail(errorOf(frame)); // the whole batch was refused
      return true;
    }
    const answer = this.answers[index ?? this.#current];
    if (type === "start") {
      this.#current = index;
      // after a restart, the server answers it from the beginning: nothing reads that
      if (answer?.stream && answer.stream !== frame.stream) answer.stop();
    }
    answer?._take(frame);
    return (type === "done" || type === "error") && this._isOver;
  }

  /** @internal @param {Reason} reason */
  _end(reason) {
    this.#hasEnded = true;
    for (const answer of this.answers) answer._end(reason);
  }

  /** @internal @param {unknown} error */
  _fail(error) {
    this.#hasEnded = true;
    for (const answer of this.answers) answer._fail(error);
  }
}
