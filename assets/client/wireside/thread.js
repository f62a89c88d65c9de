// @ts-check
// The messages of a chat, for the hooks of React, Vue and Svelte.
import { KINDS } from "./answer.js";
import { share } from "./shared.js";

/** @import { Answer } from "./answer.js" */
/** @import { Wireside } from "./client.js" */
/** @import { Conversation } from "./conversation.js" */
/** @import { WiresideError } from "./errors.js" */
/** @import { Turn } from "./internal.js" */
/** @import { AskOptions, ContextMessage, DataPart, Options, Question, Reason, State, Tool } from "./types.js" */

/**
 * @typedef {object} Message
 * @property {string} id unique in the chat, for `key`
 * @property {"user" | "assistant"} role
 * @property {string} content
 * @property {number} timestamp milliseconds since 1970
 * @property {string} reasoning
 * @property {Tool[]} tools
 * @property {DataPart[]} dataParts
 * @property {boolean} isStreaming
 * @property {Reason | null} reason why the answer has ended
 * @property {WiresideError | null} error why the answer was broken off
 *
 * @typedef {object} ChatState
 * @property {readonly Message[]} messages
 * @property {boolean} isConnected
 * @property {boolean} isStreaming whether an answer is being made
 * @property {State} state of the connection
 * @property {WiresideError | null} error of the last question, or why the connection is closed
 * @property {Question | null} question of the last answer, which `reply` answers
 * @property {string | null} conversation the id of the stored conversation
 *
 * @typedef {object} ChatActions
 * @property {(content: string, model?: string, options?: AskOptions) => Promise<void>} sendMessage asks; without a
 *   connection the question is sent later. Resolves when the answer has ended, also if it has failed
 * @property {() => void} stop stops the answer, and drops questions that wait for it
 * @property {(value: unknown) => Promise<void>} reply answers the open question
 * @property {() => void} clear removes all messages, and begins a new conversation
 * @property {() => Wireside} client the client of this address, for uploads, `metrics` and all else
 *
 * @typedef {object} ChatOptions
 * @property {string | URL} [url] of the server; by default the page's own
 * @property {string | null} [conversation] the id of a stored conversation to go on with, or "new"; by default nothing
 *   is stored, and the earlier messages are sent with each question
 * @property {AskOptions} [ask] options of each question: `model`, `system`, `temperature` …
 * @property {Options} [client] options of the connection, which the first hook of a page with this address opens
 */

/**
 * Questions and answers, as values that never change: each update has new ones.
 * @internal
 * @param {ChatOptions} options
 */
export function threadOf(options) {
  const FRAME_MS = 16; // between updates while text arrives
  const GRACE_MS = 1000; // components that follow one another keep the connection
  const MAX_CONTEXT = 100; // messages
  const MAX_CONTEXT_CHARS = 300_000;

  /** @type {Set<() => void>} */
  const listeners = new Set();
  /** @type {Turn[]} */
  let turns = [];
  /** @type {Conversation | null} */
  let conversation = null;
  /** @type {string | null} The id of an earlier conversation. */
  let stored = (options.conversation !== "new" && options.conversation) || null;
  let isLoaded = false;
  /** @type {ReturnType<typeof share> | null} */
  let shared = null;
  let unwatch = () => {};
  /** @type {Answer | null} */
  let last = null;
  let queue = Promise.resolve();
  let waiting = 0; // answers that are made or queued
  let epoch = 0; // `stop` drops the questions of earlier ones
  let count = 0;
  /** @type {WiresideError | null} */
  let failure = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let update;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let leave;

  // ---- what components see -----------------------------------------------------------------------------------------

  /** @returns {ChatState} */
  const newState = () => {
    const state = shared?.client.state ?? "connecting";
    return {
      messages: turns.flat().filter((message) => message !== null),
      isConnected: state === "connected",
      isStreaming: waiting > 0,
      state,
      error: failure ?? ((state === "closed" && shared?.client.error) || null),
      question: (!waiting && last?.question) || null,
      conversation: last?.conversation ?? stored,
    };
  };
  let current = newState();

  const tell = () => {
    clearTimeout(update);
    update = undefined;
    current = newState();
    for (const listener of [...listeners]) listener();
  };

  /** @type {ChatActions} */
  const actions = {
    sendMessage: (content, model, more) =>
      ask(message("user", content), (client) => {
        const given = { ...thread.options.ask, ...(model && { model }), ...more };
        if (!options.conversation) return client.ask(content, { messages: context(), ...given });
        if (conversation?._client !== client)
          conversation = client.conversation(conversation?.id ?? stored);
        return conversation.ask(content, given);
      }),
    reply: async (value) => {
      const asking = last; // its client may be closed by now
      if (asking) await ask(null, (client) => asking._replyBy(client, value));
    },
    stop: () => {
      epoch++;
      last?.stop();
    },
    clear: () => {
      actions.stop();
      turns = [];
      conversation = stored = last = failure = null;
      tell();
    },
    client,
  };

  // ---- answers -----------------------------------------------------------------------------------------------------

  /**
   * Ask, once the answers before it have ended.
   * @param {Message | null} asked
   * @param {(client: Wireside) => Answer} begin
   */
  const ask = (asked, begin) => {
    /** @type {Turn} */
    const turn = [asked, null];
    const epochThen = epoch;
    const opened = client();
    turns.push(turn);
    failure = null;
    const work = queue.then(async () => {
      if (epochThen === epoch) await follow(begin(opened), turn);
      else turns = turns.filter((one) => one !== turn);
    });
    queue = ended(work);
    tell();
    return queue;
  };

  /** @param {Promise<unknown>} work which counts as an answer until it has ended */
  const ended = (work) => {
    waiting++;
    return work
      .catch((error) => (failure = error))
      .then(() => {
        waiting--;
        tell();
        leaveLater();
      });
  };

  /**
   * @param {Answer} answer
   * @param {Turn} turn
   */
  const follow = async (answer, turn) => {
    const first = turn[1] ?? message("assistant", "");
    /** @param {Partial<Message>} end */
    const show = (end) => {
      const { soFar: content, reasoning, tools, dataParts } = answer;
      if (content || reasoning || tools.length || dataParts.length) {
        turn[1] = {
          ...first,
          content: first.content + content,
          reasoning,
          tools: [...tools],
          dataParts: [...dataParts],
          ...end,
        };
      }
    };
    const later = () => {
      update ??= setTimeout(() => {
        show({ isStreaming: true });
        tell();
      }, FRAME_MS);
    };
    last = answer;
    for (const kind of KINDS) answer.on(kind, later);
    await answer.text.then(
      () => show({ reason: answer.reason }),
      (error) => show({ error: (failure = error) }),
    );
  };

  /**
   * @param {Message["role"]} role
   * @param {string} content
   * @returns {Message}
   */
  const message = (role, content, timestamp = Date.now()) => ({
    id: `m${++count}`,
    role,
    content,
    timestamp,
    reasoning: "",
    tools: [],
    dataParts: [],
    isStreaming: false,
    reason: null,
    error: null,
  });

  /**
   * Show what is stored of the conversation, and what is still written in it, unless that is done.
   * @param {Wireside} opened
   */
  const load = async (opened) => {
    const id = stored;
    if (!id || isLoaded) return;
    const { history } = await import("./rest.js");
    const { turns: before, goOn } = await history(opened, id, message);
    if (!stored) return; // `clear` was called
    isLoaded = true;
    failure = null;
    turns = [...before, ...turns.filter(([, answer]) => !answer)]; // the others are stored too
    tell();
    if (goOn) await follow(goOn(), /** @type {Turn} */ (before.at(-1)));
  };

  /** The latest answered turns, for a question that is not stored. @returns {ContextMessage[]} */
  const context = () => {
    /** @type {ContextMessage[]} */
    const latest = [];
    let chars = 0;
    for (const message of turns
      .filter(([, answer]) => answer?.content.trim())
      .flat()
      .reverse())
      if (message?.content.trim() && latest.length < MAX_CONTEXT) {
        const { role, content } = message;
        if ((chars += content.length) < MAX_CONTEXT_CHARS) latest.unshift({ role, content });
      }
    return latest;
  };

  // ---- the connection ----------------------------------------------------------------------------------------------

  /** The shared client, which is opened if it is not. */
  function client() {
    clearTimeout(leave);
    if (shared?.client.state === "closed") release();
    if (!shared) {
      shared = share(options.url, options.client);
      const { client } = shared;
      const loadLater = () => {
        if (stored && !isLoaded) queue = ended(queue.then(() => load(client)));
      };
      unwatch = client.on("state", (state) => {
        if (state === "connected") loadLater(); // the first attempt may have failed
        tell();
      });
      loadLater();
    }
    return shared.client;
  }

  const leaveLater = () => {
    clearTimeout(leave);
    if (listeners.size) return;
    leave = setTimeout(() => {
      if (!options.conversation) actions.stop(); // nothing would read it
      if (!waiting) release();
    }, GRACE_MS);
  };

  const release = () => {
    unwatch();
    shared?.release();
    shared = null;
  };

  const thread = {
    options,
    actions,
    read: () => current,
    /**
     * Call `listener` after each change, and hold the connection, until the returned function is called.
     * @param {() => void} listener
     */
    subscribe: (listener) => {
      listeners.add(listener);
      client();
      tell();
      return () => {
        listeners.delete(listener);
        leaveLater();
      };
    },
  };
  return thread;
}
