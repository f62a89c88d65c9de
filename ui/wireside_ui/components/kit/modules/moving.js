// @ts-check
// Moves the page to another server: when this one stops and asks for it, or when the connection reaches one that does
// not have the page. Drafts and the outbox are stored in the browser; the address has the conversation.
import { leaveFleeting } from "wireside-kit/fleeting.js";
import { PREFIX } from "wireside-kit/storage.js";

const TYPING_MS = 2500; // without a key, the user has stopped typing
const LOOK_MS = 500;
const RELOADS = 2; // in a row: more would be a loop, where a proxy does not keep pages and sockets together
const ROW_MS = 30_000;
const PAUSE_MS = 15_000;
const FOREIGN = "Implicit handshake failed"; // NiceGUI's script reloads the page for this message

let typedAt = -TYPING_MS;

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Watches the socket that NiceGUI's script is going to open. Call it before that script starts. */
export function watchServer() {
  forgetPlace();
  document.addEventListener("input", () => (typedAt = performance.now()), true);
  const open = window.io;
  window.io = (...given) => {
    const socket = open(...given);
    socket.on("connect_error", stopLoop); // before NiceGUI's own listener
    socket.on("wireside_move", ({ within_ms }) => move(performance.now() + within_ms));
    return socket;
  };
}

/** @param {{ message: string }} error */
function stopLoop(error) {
  if (error.message !== FOREIGN) return;
  const now = Date.now();
  const recent = readReloads().filter((at) => now - at < ROW_MS);
  sessionStorage.setItem(`${PREFIX}reloads`, JSON.stringify([...recent, now]));
  if (recent.length < RELOADS) return prepare();
  error.message = "The page is on another server.";
  setTimeout(() => (prepare(), location.reload()), PAUSE_MS);
}

// Lets a temporary chat, which ends with this load of the page, leave its draft to the next one.
function prepare() {
  const { place } = ask();
  if (place.fleeting) leaveFleeting(place.fleeting);
}

// Asks the components what the page shows, and whether it loses nothing if it is loaded again now.
function ask() {
  /** @type {MovingPage} */
  const place = {};
  const asking = new CustomEvent("wireside:move", { cancelable: true, detail: place });
  return { isFree: window.dispatchEvent(asking), place };
}

/** @returns {number[]} */
function readReloads() {
  try {
    const times = JSON.parse(sessionStorage.getItem(`${PREFIX}reloads`) ?? "[]");
    return Array.isArray(times) ? times : [];
  } catch {
    return [];
  }
}

/**
 * Loads the page from another server: at once, or when the user has stopped typing, at the latest at `until`.
 * @param {number} until by the clock of `performance`
 */
async function move(until) {
  for (;;) {
    const isFree = ask().isFree && performance.now() - typedAt > TYPING_MS;
    if ((isFree || performance.now() > until) && (await isServed())) break;
    await sleep(LOOK_MS);
  }
  const { place } = ask();
  if (place.fleeting) leaveFleeting(place.fleeting);
  if (place.fleeting || !place.turn) return location.reload();
  const address = new URL(location.href);
  address.searchParams.set("turn", place.turn);
  sessionStorage.setItem(`${PREFIX}moved`, "1");
  location.replace(address);
}

// Whether another server takes this page's requests: without one, the page would be replaced by an error of the browser.
async function isServed() {
  try {
    return (await fetch(`${window.path_prefix ?? ""}/api/health/ready`, { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

// The turn in the address was the reader's place before the move; a later reload must not return to it.
function forgetPlace() {
  if (!sessionStorage.getItem(`${PREFIX}moved`)) return;
  sessionStorage.removeItem(`${PREFIX}moved`);
  const address = new URL(location.href);
  address.searchParams.delete("turn");
  history.replaceState(history.state, "", address);
}
