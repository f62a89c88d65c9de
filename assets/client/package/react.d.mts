// wireside-client, MIT; to read it: /assets/client/wireside/index.js of a Wireside server
import type { AskOptions, DataPart, Options, Question, Reason, State, Tool, Wireside, WiresideError } from "./wireside.mjs";
export type Message = {
    /**
     * unique in the chat, for `key`
     */
    id: string;
    role: "user" | "assistant";
    content: string;
    /**
     * milliseconds since 1970
     */
    timestamp: number;
    reasoning: string;
    tools: Tool[];
    dataParts: DataPart[];
    isStreaming: boolean;
    /**
     * why the answer has ended
     */
    reason: Reason | null;
    /**
     * why the answer was broken off
     */
    error: WiresideError | null;
};
export type ChatState = {
    messages: readonly Message[];
    isConnected: boolean;
    /**
     * whether an answer is being made
     */
    isStreaming: boolean;
    /**
     * of the connection
     */
    state: State;
    /**
     * of the last question, or why the connection is closed
     */
    error: WiresideError | null;
    /**
     * of the last answer, which `reply` answers
     */
    question: Question | null;
    /**
     * the id of the stored conversation
     */
    conversation: string | null;
};
export type ChatActions = {
    /**
     * asks; without a
     * connection the question is sent later. Resolves when the answer has ended, also if it has failed
     */
    sendMessage: (content: string, model?: string, options?: AskOptions) => Promise<void>;
    /**
     * stops the answer, and drops questions that wait for it
     */
    stop: () => void;
    /**
     * answers the open question
     */
    reply: (value: unknown) => Promise<void>;
    /**
     * removes all messages, and begins a new conversation
     */
    clear: () => void;
    /**
     * the client of this address, for uploads, `metrics` and all else
     */
    client: () => Wireside;
};
export type ChatOptions = {
    /**
     * of the server; by default the page's own
     */
    url?: string | URL;
    /**
     * the id of a stored conversation to go on with, or "new"; by default nothing
     * is stored, and the earlier messages are sent with each question
     */
    conversation?: string | null;
    /**
     * options of each question: `model`, `system`, `temperature` …
     */
    ask?: AskOptions;
    /**
     * options of the connection, which the first hook of a page with this address opens
     */
    client?: Options;
};
/**
 * A chat: its messages, and the functions that change it. All components of a page share one connection for each
 * address.
 * @param {ChatOptions} [options]
 * @returns {ChatState & ChatActions}
 */
export declare function useAIWebSocket(options?: ChatOptions): ChatState & ChatActions;
