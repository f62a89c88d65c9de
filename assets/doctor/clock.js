// Round trips, and the skew between the clocks of browser and server.
import { ask } from "./requests.js";

const TRIPS = 10;

/**
 * Measures round trips and clock skew.
 * @param {Measured} found
 * @param {() => Promise<Told>} tell requests the server's time
 */
export const clocked = async (found, tell) => {
  /** @type {number[]} */
  const trips = [];
  /** @type {number[]} */
  const skews = [];
  for (let n = 0; n < TRIPS; n++) {
    const [left, wall] = [performance.now(), Date.now()];
    const { now, when } = await tell();
    trips.push(when - left);
    skews.push(now - wall / 1000 - (when - left) / 2000);
  }
  const best = trips.indexOf(Math.min(...trips));
  found.skew_s = Number(skews[best].toFixed(3));
  found.trips_ms = trips.map((ms) => Number(ms.toFixed(2)));
};

export const echoed = async () => {
  const { said } = await ask("/api/doctor/echo");
  if (typeof said.now !== "number") throw new Error("no echo");
  return { now: said.now, when: performance.now() };
};
