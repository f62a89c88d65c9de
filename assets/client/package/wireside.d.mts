// wireside-client, MIT; to read it: /assets/client/wireside/index.js of a Wireside server
export type State = "connecting" | "connected" | "waiting" | "closed";
export type Reason = "stop" | "length" | "cancelled" | "content_filter" | "interrupted" | "asking";
export type Usage = {
    input_tokens: number | null;
    output_tokens: number | null;
};
export type ContextMessage = {
    role: "system" | "user" | "assistant";
    content: string;
};
export type TextPart = {
    type: "chunk" | "reasoning";
    content: string;
};
export type Tool = {
    call: string;
    name: string;
    state: "requested" | "running" | "done" | "failed";
    arguments: string;
    result?: string;
};
export type DataPart = {
    kind: string;
    text: string;
    data?: any;
    part?: string;
    truncated?: boolean;
};
export type Question = DataPart & {
    kind: "question";
    part: string;
    data: {
        id: string;
        type: "approve" | "choose" | "form" | "text" | "file";
        prompt: string;
        [field: string]: any;
    };
};
export type Part = TextPart | ({
    type: "tool";
} & Tool) | ({
    type: "part";
} & DataPart);
export type Upload = {
    id: string;
    name: string;
    media_type: string;
    size_bytes: number;
    created_at: string;
};
export type BatchSummary = {
    done: number;
    failed: number;
    cancelled: number;
};
export type BatchResult = {
    index: number;
    text: string;
    reason: Reason | null;
    error: WiresideError | null;
};
export type ClientMetrics = {
    messagesPerSecond: number;
    averageLatency: number;
    reconnectCount: number;
};
export type AskOptions = {
    /**
     * default: the server's
     */
    model?: string;
    /**
     * earlier turns, for a question that is not stored
     */
    messages?: ContextMessage[];
    /**
     * continue and store there; "new" opens one
     */
    conversation?: string | Conversation;
    system?: string;
    /**
     * 0 to 2
     */
    temperature?: number;
    max_tokens?: number;
    /**
     * the model's own options
     */
    options?: {
        [name: string]: unknown;
    };
    /**
     * ids of uploads
     */
    attachments?: string[];
    /**
     * end an answer that runs in the conversation, and go on from it
     */
    steer?: boolean;
    /**
     * escape `<script`
     */
    sanitize?: boolean;
    /**
     * identifies the request: the same key gives the same answer (default: random)
     */
    key?: string;
    /**
     * size of the largest frame, 8,000 by default
     */
    max_frame_bytes?: number;
    /**
     * stops the answer, which then fails with the signal's reason
     */
    signal?: AbortSignal;
    /**
     * false: `soFar`, `text`, `reasoning`, `tools` and `dataParts` stay empty, so that the
     * memory of an answer without end is flat; iterate it at once
     */
    keep?: boolean;
};
export type BatchOptions = AskOptions & {
    parallel?: number;
};
export type Options = {
    /**
     * the same as `on("state", …)`
     */
    onState?: (state: State, error: WiresideError | null) => unknown;
    /**
     * an API key or another bearer token, or a function that
     * returns a fresh one before each connection; not for pages, where it would be public
     */
    token?: string | (() => string | Promise<string>);
    /**
     * returns a fresh ticket (POST /api/tickets, called by your own
     * server) before each connection: for pages of other origins on servers with accounts
     */
    ticket?: () => string | Promise<string>;
    /**
     * a class to use instead of the global one
     */
    WebSocket?: SocketClass;
    /**
     * between pings, 30,000 by default
     */
    pingMs?: number;
    /**
     * for opening, and for any frame after a ping: 20,000 by default
     */
    timeoutMs?: number;
};
export type SocketClass = new (url: string, protocols: string[]) => any;
export type ClientEvents = {
    state: [State, WiresideError | null];
};
export type AnswerEvents = {
    start: [Answer];
    chunk: [TextPart];
    reasoning: [TextPart];
    tool: [Tool];
    part: [DataPart];
    done: [Answer];
    error: [unknown];
};
/**
 * Why an answer or a request has failed. `code` is one of the protocol's, or "closed"; `retryable` says whether the
 * same request may succeed later, `retryAfter` when, in seconds.
 */
export declare class WiresideError extends Error {
    code: string;
    retryable: boolean;
    retryAfter: number | null;
    name: string;
    /** @param {{ message: string, code?: string, retryable?: boolean, retry_after?: number | null }} frame */
    constructor({ message, code, retryable, retry_after }: {
        message: string;
        code?: string;
        retryable?: boolean;
        retry_after?: number | null;
    });
}
/** The client was closed, or the server has ended it. */
export declare class ClosedError extends WiresideError {
    name: string;
}
/** The server or the user's allowance is exhausted for now: `rate_limited`, `too_many`, `overloaded`. */
export declare class LimitError extends WiresideError {
    name: string;
}
/** The account, key or ticket does not permit this: `unauthorized`. */
export declare class AccessError extends WiresideError {
    name: string;
}
/** The answer, conversation or upload does not exist here: `not_found`, `expired`, `bad_offset`. */
export declare class NotFoundError extends WiresideError {
    name: string;
}
/** The model service failed or refused: `provider_…`, `context_too_long`, `content_filter`, `not_configured`. */
export declare class ModelError extends WiresideError {
    name: string;
}
/** The request itself is wrong: `bad_message`, `too_large`, `unknown_model`, `invalid_attachment`, … */
export declare class RequestError extends WiresideError {
    name: string;
}
/**
 * Calls listeners by the name of an event. A listener that fails does not affect others.
 * @template {{ [name: string]: unknown[] }} Events the arguments of the listeners, by event
 */
export declare class Emitter<Events extends {
    [name: string]: unknown[];
}> {
    #private;
    /**
     * Call `listener` at each event of this name. Returns a function that removes it.
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {(...values: Events[Name]) => unknown} listener
     * @returns {() => void}
     */
    on<Name extends keyof Events>(name: Name, listener: (...values: Events[Name]) => unknown): () => void;
}
/**
 * What a client keeps of each of its requests.
 * @template {{ [name: string]: unknown[] }} Events
 * @extends {Emitter<Events>}
 */
export declare class Tracked<Events extends {
    [name: string]: unknown[];
}> extends Emitter<Events> {
}
/**
 * One answer. Iterate it for its pieces of text, await `text`, or listen: `answer.on("chunk", …)`. Leaving the loop
 * early stops the answer.
 * @extends {Tracked<AnswerEvents>}
 */
export declare class Answer extends Tracked<AnswerEvents> {
    #private;
    /** @type {string | null} The id to follow it by, also from another connection. */
    stream: string | null;
    /** @type {string | null} */
    model: string | null;
    /** @type {string | null} The conversation it is stored in, for further questions. */
    conversation: string | null;
    /** @type {number | null} Its index in a batch. */
    index: number | null;
    offset: number;
    /** @type {Reason | null} */
    reason: Reason | null;
    /** @type {Usage | null} */
    usage: Usage | null;
    reasoning: string;
    /** @type {Tool[]} Tool calls, each in its latest state. */
    tools: Tool[];
    /** @type {DataPart[]} Steps, sources, tables, files, questions …, each in its latest state. */
    dataParts: DataPart[];
    soFar: string;
    /** All of the text, when the answer has ended. Rejects with a WiresideError. @returns {Promise<string>} */
    get text(): Promise<string>;
    /** This answer, when `stream`, `model` and `conversation` are known. @returns {Promise<Answer>} */
    get started(): Promise<Answer>;
    /** The open question of an answer that has ended with the reason "asking". @returns {Question | null} */
    get question(): Question | null;
    /**
     * Answer its question. Returns what follows. @param {unknown} value of the type that the question wants
     * @param {{ signal?: AbortSignal }} [options]
     */
    reply(value: unknown, options?: {
        signal?: AbortSignal;
    }): Answer;
    /** Stop: what was written is kept, and the answer ends with reason "cancelled". */
    stop(): void;
    /** Yields the pieces of text. Each consumer gets all of them. @returns {AsyncGenerator<string, void, void>} */
    [Symbol.asyncIterator](): AsyncGenerator<string, void, void>;
    /**
     * Yields text, reasoning, tool calls and other parts in order of arrival. A consumer that lags gets larger pieces.
     * @returns {AsyncGenerator<Part, void, void>}
     */
    parts(): AsyncGenerator<Part, void, void>;
}
/**
 * Several questions: `for (const answer of batch) for await (const piece of answer) …` in the order of the questions,
 * `for await (const answer of batch) …` in the order in which their answers end.
 * @extends {Tracked<{}>}
 */
export declare class Batch extends Tracked<{}> {
    #private;
    /** @type {BatchSummary | null} How many answers are done, failed and cancelled: after the end, with `parallel`. */
    summary: BatchSummary | null;
    answers: Answer[];
    [Symbol.iterator](): ArrayIterator<Answer>;
    /** Yields each answer once it has ended, also one that has failed. */
    [Symbol.asyncIterator](): AsyncGenerator<Answer, void, unknown>;
    /** The result of each question, in their order, when all have ended. Does not reject. @returns {Promise<BatchResult[]>} */
    get results(): Promise<BatchResult[]>;
    /** Stop all answers; each has a method `stop` too. */
    stop(): void;
}
/** A stored conversation. `id` is null until the first answer has started. */
export declare class Conversation {
    #private;
    id: string | null;
    /** Ask in it. @param {string} message @param {AskOptions} [options] */
    ask(message: string, options?: AskOptions): Answer;
    /** Ask several questions in it. @param {string[]} messages @param {AskOptions} [options] */
    batch(messages: string[], options?: AskOptions): Batch;
}
/**
 * A connection that reconnects by itself. `state` is the last value passed to the listeners of "state".
 * @extends {Emitter<ClientEvents>}
 */
export declare class Wireside extends Emitter<ClientEvents> {
    #private;
    url: string;
    /** @type {State} */
    state: State;
    /** @type {WiresideError | null} Why it is waiting or closed. */
    error: WiresideError | null;
    /**
     * @param {string | URL} [url] of the server or of its WebSocket (`http:`, `https:`, `ws:`, `wss:`), or a path on the
     *   page's own server
     * @param {Options} [options]
     */
    constructor(url?: string | URL, options?: Options);
    /**
     * Ask. Returns at once; without a connection the question is sent after connecting.
     * @param {string} message
     * @param {AskOptions} [options]
     * @returns {Answer}
     */
    ask(message: string, options?: AskOptions): Answer;
    /**
     * Ask 1 to 20 questions, answered one after another, or `parallel` at once.
     * @param {string[]} messages
     * @param {BatchOptions} [options]
     * @returns {Batch}
     */
    batch(messages: string[], options?: BatchOptions): Batch;
    /**
     * Follow an answer that was requested elsewhere, from an offset on.
     * @param {string} stream
     * @param {number} [offset]
     * @param {{ signal?: AbortSignal, keep?: boolean }} [options]
     * @returns {Answer}
     */
    follow(stream: string, offset?: number, { signal, keep }?: {
        signal?: AbortSignal;
        keep?: boolean;
    }): Answer;
    /**
     * Answer an open question of a conversation; the same as `answer.reply(value)`.
     * @param {string} conversation its id
     * @param {string} part the id of the question
     * @param {unknown} value
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Answer}
     */
    reply(conversation: string, part: string, value: unknown, options?: {
        signal?: AbortSignal;
    }): Answer;
    /**
     * A stored conversation to ask several questions in: a new one, or the one with this id.
     * @param {string | null} [id]
     */
    conversation(id?: string | null): Conversation;
    /**
     * Request a path of the REST API, with the client's token. Rejects with a WiresideError when the server refuses.
     * @param {string} path such as `/api/conversations`
     * @param {RequestInit} [init]
     */
    api(path: string, init?: RequestInit): Promise<Response>;
    /**
     * Upload a file; its `id` can be one of the `attachments` of a question.
     * @param {Blob | Uint8Array<ArrayBuffer> | ArrayBuffer | string} file
     * @param {{ name?: string, signal?: AbortSignal }} [options] `name`: default is that of a `File`
     * @returns {Promise<Upload>}
     */
    upload(file: Blob | Uint8Array<ArrayBuffer> | ArrayBuffer | string, options?: {
        name?: string;
        signal?: AbortSignal;
    }): Promise<Upload>;
    /** Figures about this client. */
    get metrics(): ClientMetrics;
    /** Close the connection. Answers continue on the server and can be followed by their stream. */
    close(): void;
}
/**
 * One client for all that share an address: the first one opens it, the last `release` closes it.
 * @param {string | URL} [url]
 * @param {Options} [options] those of the first one count
 * @returns {{ client: Wireside, release: () => void }}
 */
export declare function share(url?: string | URL, options?: Options): {
    client: Wireside;
    release: () => void;
};
