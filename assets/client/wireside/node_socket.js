// @ts-check
// Loaded where there is no WebSocket: Node before 22.
/** @import { SocketClass } from "./types.js" */

/**
 * The class of the package `ws` next to the program.
 * @returns {SocketClass}
 */
export function socketClass() {
  const { process } = /** @type {any} */ (globalThis);
  try {
    return process.getBuiltinModule("module").createRequire(process.argv[1])("ws");
  } catch {
    throw new Error(
      "There is no WebSocket in this runtime (Node before 22). Install the package `ws`: npm install ws." +
        " Or pass a class: new Wireside(url, { WebSocket })",
    );
  }
}
