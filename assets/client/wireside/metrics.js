// @ts-check
import { now } from "./timers.js";

/** @import { Frame } from "./internal.js" */
/** @import { ClientMetrics } from "./types.js" */

/** The three figures of a client. */
export const metered = () => {
  const RATE_MS = 5000; // time constant of the rate
  const WEIGHT = 1 / 8; // of the latest ping in the average latency
  let rate = 0;
  let ratedAt = now();
  let latency = 0;
  let reconnections = -1;
  const currentRate = () => rate * Math.exp((ratedAt - now()) / RATE_MS);
  return {
    _opened: () => reconnections++,

    /** @param {Frame} frame */
    _count: (frame) => {
      rate = currentRate() + 1000 / RATE_MS;
      ratedAt = now();
      if (frame?.type === "pong" && frame.t)
        latency += (ratedAt - frame.t - latency) * (latency ? WEIGHT : 1);
    },

    /** @returns {ClientMetrics} */
    _values: () => ({
      messagesPerSecond: currentRate(),
      averageLatency: latency,
      reconnectCount: Math.max(reconnections, 0),
    }),
  };
};
