// @ts-check
import { Emitter } from "./events.js";

/** @import { Sent } from "./internal.js" */

/**
 * What a client keeps of each of its requests.
 * @template {{ [name: string]: unknown[] }} Events
 * @extends {Emitter<Events>}
 */
export class Tracked extends Emitter {
  /** @internal */ _id = "";
  /** @internal @type {string | null} */ _conversationId = null; // as first sent: the server matches it with the key
  /** @internal */ _isSent = false; // on this connection
  /** @internal */ _isStopping = false;
  /** @internal */ _isHeld = false; // until a timer resends it
  /** @internal */ _sends = 0;
  /** @internal */ _hasBegun = false; // since it was last sent
}
