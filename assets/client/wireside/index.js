// @ts-check
import { Batch } from "./batch.js";
import { provideBatch } from "./client.js";

export { Answer } from "./answer.js";
export { Wireside } from "./client.js";
export { Conversation } from "./conversation.js";
export {
  AccessError,
  ClosedError,
  LimitError,
  ModelError,
  NotFoundError,
  RequestError,
  WiresideError,
} from "./errors.js";
export { share } from "./shared.js";
export { Batch };

provideBatch(Batch);
