// The browser's probe of the connection doctor. It only measures; the server evaluates, by the same rules as for the shell's probe.
import { clocked, echoed } from "./clock.js";
import { ask, stream } from "./requests.js";
import { CHAT, PAGE, PROBE, question, silence, talk, upgrade } from "./sockets.js";

const LARGE_BYTES = 1_310_720;

/**
 * @param {number} seconds how long an idle connection is watched
 * @param {() => void} step called after each part
 */
export const measure = async (seconds, step) => {
  /** @type {Measured} */
  const found = { prober: "browser", asked: location.origin, origin: location.origin, http: "" };
  const ready = await ask("/api/health/ready");
  found.ready = { ...ready.reply, is_ours: "provider" in ready.said || ready.reply.is_ours };
  if (typeof ready.said.memory_mb === "number") found.memory_mb = ready.said.memory_mb;
  step();
  const upgrades = await Promise.all([CHAT, PROBE, PAGE].map(upgrade));
  found.upgrades = upgrades;
  step();
  /** @param {string} path */
  const isOpen = (path) => upgrades.some((one) => one.path === path && one.is_open);
  const quiet = isOpen(PROBE) ? silence(seconds) : null;
  const echo = await ask("/api/doctor/echo");
  if ("host" in echo.said) found.seen = echo.said;
  const loaded = /** @type {PerformanceResourceTiming[]} */ (
    performance.getEntriesByType("resource")
  );
  found.http = loaded.findLast((e) => e.name.includes("/api/doctor/echo"))?.nextHopProtocol || "";
  found.post = (await ask("/api/doctor/echo", { method: "POST" })).reply;
  step();
  const [, streamed] = await Promise.all([
    isOpen(PROBE) ? talk(found) : null,
    found.seen ? stream() : null,
  ]);
  if (streamed) found.stream = streamed;
  if (found.seen && !found.trips_ms) await clocked(found, echoed).catch(() => {}); // no WebSocket has measured it
  step();
  if (found.seen && found.post.status !== 403) {
    found.large = (
      await ask("/api/doctor/large", { method: "POST", body: new Uint8Array(LARGE_BYTES) })
    ).reply;
  }
  step();
  if (isOpen(CHAT)) found.answer = await question();
  step();
  const still = await quiet;
  if (still) found.silence = still;
  step();
  return found;
};
