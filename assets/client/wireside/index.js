// @ts-check
import { Answer } from "./answer.js";
import { Batch } from "./batch.js";
import { Wireside } from "./client.js";
import { Conversation } from "./conversation.js";
import { WiresideError } from "./errors.js";

export { Answer, Batch, Conversation, Wireside, WiresideError };
