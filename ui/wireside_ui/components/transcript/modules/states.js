// @ts-check
// States of a turn.

export const OPEN = new Set(["waiting", "thinking", "streaming"]);

// Labels and actions for answers that did not end normally.
export const ENDS = {
  stopped: ["continue"],
  interrupted: ["continue"],
  length_reached: ["continue"],
  filtered: [],
  empty: [],
};

// Whether only the beginning of an answer is here; the rest has not arrived yet.
export const isPart = (row) =>
  !row.live && row.data.parts.some(({ html }) => html?.includes('<p class="ws-prose-more">'));
