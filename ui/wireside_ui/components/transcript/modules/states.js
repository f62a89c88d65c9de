// @ts-check
// States of a turn.

export const OPEN = new Set(["waiting", "thinking", "streaming"]);

/**
 * Labels and actions for answers that did not end normally.
 * @type {Partial<Record<TurnState, string[]>>}
 */
export const ENDS = {
  stopped: ["continue"],
  interrupted: ["continue"],
  length_reached: ["continue"],
  filtered: [],
  empty: [],
};

/**
 * Returns the nodes of a growing text that can still change.
 *
 * @param {LiveText} live
 */
export function nodesAfter({ place, mark }) {
  /** @type {ChildNode[]} */
  const nodes = [];
  for (let node = mark ? mark.nextSibling : place?.firstChild; node; node = node.nextSibling)
    nodes.push(node);
  return nodes;
}

/**
 * Whether only the beginning of an answer is here; the rest has not arrived yet.
 * @param {Row} row
 */
export const isPart = (row) =>
  !row.live &&
  row.data.parts.some(
    (part) => part.kind === "text" && part.html.includes('<p class="ws-prose-more">'),
  );
