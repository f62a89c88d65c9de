// @ts-check
import { errorOf } from "./errors.js";
import { Tracked } from "./request.js";

/** @import { WiresideError } from "./errors.js" */
/** @import { Frame, Owner, Sent } from "./internal.js" */
/** @import { AnswerEvents, DataPart, Part, Question, Reason, Tool, Usage } from "./types.js" */

/** The frames that bring a piece of an answer, which are the names of events, too. @internal */
export const KINDS = /** @type {const} */ (["chunk", "reasoning", "tool", "part"]);

/**
 * One answer. Iterate it for its pieces of text, await `text`, or listen: `answer.on("chunk", …)`. Leaving the loop
 * early stops the answer.
 * @extends {Tracked<AnswerEvents>}
 */
export class Answer extends Tracked {
  #client;
  #keeps;
  /** @type {Set<{ parts: Part[], wake: () => void }>} */
  #readers = new Set();
  /** @type {unknown} */
  #error = null;
  #start = promised();
  #end = promised();
  /** @internal @type {Sent | null} */ _request;
  /** @internal */ _isOver = false;
  /** @type {string | null} The id to follow it by, also from another connection. */
  stream = null;
  /** @type {string | null} */
  model = null;
  /** @type {string | null} The conversation it is stored in, for further questions. */
  conversation = null;
  /** @type {number | null} Its index in a batch. */
  index = null;
  offset = 0;
  /** @type {Reason | null} */
  reason = null;
  /** @type {Usage | null} */
  usage = null;
  reasoning = "";
  /** @type {Tool[]} Tool calls, each in its latest state. */
  tools = [];
  /** @type {DataPart[]} Steps, sources, tables, files, questions …, each in its latest state. */
  dataParts = [];
  soFar = "";

  /**
   * @internal
   * @param {Owner} client
   * @param {Sent | null} request the frame, sent again under the same key until `start` arrives
   * @param {boolean} [keep]
   */
  constructor(client, request, keep = true) {
    super();
    this.#client = client;
    this.#keeps = keep;
    this._request = request;
  }

  /** All of the text, when the answer has ended. Rejects with a WiresideError. @returns {Promise<string>} */
  get text() {
    return this._ended.then(raise).then(() => this.soFar);
  }

  /** This answer, when `stream`, `model` and `conversation` are known. @returns {Promise<Answer>} */
  get started() {
    return this.#start.promise.then(raise).then(() => this);
  }

  /** The open question of an answer that has ended with the reason "asking". @returns {Question | null} */
  get question() {
    if (this.reason !== "asking") return null;
    const questions = this.dataParts.filter((part) => part.kind === "question");
    return /** @type {Question} */ (questions.at(-1) ?? null);
  }

  /**
   * Answer its question. Returns what follows. @param {unknown} value of the type that the question wants
   * @param {{ signal?: AbortSignal }} [options]
   */
  reply(value, options) {
    return this._replyBy(this.#client, value, options);
  }

  /**
   * @internal
   * @param {Pick<Owner, "reply">} client
   * @param {unknown} value
   * @param {{ signal?: AbortSignal }} [options]
   */
  _replyBy(client, value, options) {
    return client.reply(this.conversation ?? "", this.question?.part ?? "", value, options);
  }

  /** Stop: what was written is kept, and the answer ends with reason "cancelled". */
  stop() {
    this.#client._stop(this);
  }

  /** Yields the pieces of text. Each consumer gets all of them. @returns {AsyncGenerator<string, void, void>} */
  async *[Symbol.asyncIterator]() {
    for await (const part of this.parts()) if (part.type === "chunk") yield part.content;
  }

  /**
   * Yields text, reasoning, tool calls and other parts in order of arrival. A consumer that lags gets larger pieces.
   * @returns {AsyncGenerator<Part, void, void>}
   */
  async *parts() {
    const { reasoning, tools, dataParts, soFar } = this;
    const parts = /** @type {Part[]} */ ([
      ...texts("reasoning", reasoning),
      ...tools.map((tool) => ({ type: "tool", ...tool })),
      ...dataParts.map((part) => ({ type: "part", ...part })),
      ...texts("chunk", soFar),
    ]);
    const reader = { parts, wake: () => {} };
    this.#readers.add(reader);
    try {
      for (;;) {
        for (let part; (part = parts.shift());) yield part;
        if (this.#error) throw this.#error;
        if (this._isOver) return;
        await new Promise((/** @type {(_: void) => void} */ resolve) => (reader.wake = resolve));
      }
    } finally {
      this.#readers.delete(reader);
      // Answers of a batch, or requested elsewhere, continue.
      if (!this._isOver && this._request && !this.#readers.size) this.stop();
    }
  }

  /** @internal The answers of this request. */
  get _answers() {
    return [this];
  }

  /** @internal */
  get _weight() {
    return 1;
  }

  /** @internal */
  get _stopped() {
    return this._isStopping ? [null] : [];
  }

  /** @internal Resolves at the end, with its error or null. */
  get _ended() {
    return this.#end.promise;
  }

  /**
   * The frame to send now.
   * @internal
   * @returns {Sent | null}
   */
  _frame() {
    const { stream, offset } = this;
    return stream ? { type: "resume", stream, offset } : this._request;
  }

  /**
   * Returns whether the frame is the last one.
   * @internal
   * @param {Frame} frame
   */
  _take(frame) {
    const { type, id, offset, index, ...rest } = frame;
    const isLast = type === "done" || type === "error";
    if (this._isOver) return isLast;
    if (KINDS.includes(/** @type {any} */ (type))) {
      if (offset <= this.offset) return false; // received already
      this.#put(/** @type {Part} */ (/** @type {unknown} */ ({ type, ...rest })));
    }
    if (offset !== undefined) this.offset = offset;
    if (type === "start") {
      const { stream, model, conversation = null } = rest;
      if (this.stream && stream !== this.stream) {
        // of a batch: the server was restarted, and answers it from the beginning
        this._fail(errorOf({ code: "expired", message: "The answer was lost." }));
        return false;
      }
      Object.assign(this, { stream, model, conversation });
    }
    if (type === "start" || type === "resumed") {
      this.#start.resolve(null);
      this._emit("start", this);
    }
    if (type === "error") this._fail(errorOf(rest));
    if (type === "done") this._end(rest.reason, rest.usage);
    return isLast;
  }

  /**
   * @internal
   * @param {Reason} reason
   * @param {Usage | null} [usage]
   */
  _end(reason, usage = null) {
    if (this._isOver) return;
    Object.assign(this, { reason, usage });
    this.#finish();
    this._emit("done", this);
  }

  /** @internal @param {unknown} error */
  _fail(error) {
    if (this._isOver) return;
    this.#error = error;
    this.#finish();
    this._emit("error", error);
  }

  #finish() {
    this._isOver = true;
    this.#start.resolve(this.#error);
    this.#end.resolve(this.#error);
    this.#wakeReaders();
  }

  #wakeReaders() {
    for (const { wake } of this.#readers) wake();
  }

  /** @param {Part} part */
  #put(part) {
    if (this.#keeps) this.#keep(part);
    for (const { parts } of this.#readers) {
      const last = parts.at(-1);
      if (last && "content" in last && last.type === part.type) last.content += part.content;
      else parts.push({ ...part });
    }
    this.#wakeReaders();
    this._emit(part.type, /** @type {any} */ (part));
  }

  /** @param {Part} part */
  #keep(part) {
    const { type, ...rest } = part;
    if (type === "chunk") this.soFar += part.content;
    else if (type === "reasoning") this.reasoning += part.content;
    else if (type === "tool") replace(this.tools, /** @type {Tool} */ (rest), "call");
    else replace(this.dataParts, /** @type {DataPart} */ (rest), "part");
  }
}

/** @param {string} type @param {string} content */
const texts = (type, content) => (content ? [{ type, content }] : []);

/**
 * Put an item into a list, in the place of an earlier one of the same name.
 * @template T
 * @param {T[]} items
 * @param {T} item
 * @param {keyof T} name
 */
function replace(items, item, name) {
  const at = items.findIndex((one) => item[name] && one[name] === item[name]);
  items[at < 0 ? items.length : at] = item;
}

/** A promise of an error or null, and its end; `Promise.withResolvers` is missing in Node before 22. */
function promised() {
  /** @type {(error: any) => void} */
  let resolve = () => {};
  /** @type {Promise<WiresideError | null>} */
  const promise = new Promise((given) => (resolve = given));
  return { promise, resolve };
}

/** @param {WiresideError | null} error */
function raise(error) {
  if (error) throw error;
}
