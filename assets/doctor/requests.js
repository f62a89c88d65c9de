// Requests of the connection doctor.

export const REPLY_MS = 10_000;

export const base = document.getElementById("doctor")?.dataset.base ?? "";

/**
 * Returns a JSON object; an empty one for any other text.
 * @param {string} text
 * @returns {Record<string, any>}
 */
export const object = (text) => {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
};

/** @param {unknown} error */
const textOf = (error) => String(Object(error).message || error).slice(0, 200);

/** @param {Response} response */
const names = (response) => ({
  server: (response.headers.get("server") || "").slice(0, 100),
  via: (response.headers.get("via") || "").slice(0, 100),
});

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<{ said: Record<string, any>, reply: Reply }>}
 */
export const ask = async (path, init = {}) => {
  try {
    const response = await fetch(base + path, {
      cache: "no-store",
      signal: AbortSignal.timeout(REPLY_MS),
      ...init,
    });
    const text = await response.text();
    const said = object(text);
    const isOurs =
      typeof said.message === "string" || (response.ok && Object.keys(said).length > 0);
    const message = response.ok ? "" : (said.message ?? text).slice(0, 200);
    return {
      said,
      reply: { status: response.status, is_ours: isOurs, message, ...names(response) },
    };
  } catch (e) {
    return {
      said: {},
      reply: { status: 0, is_ours: false, message: textOf(e) },
    };
  }
};

export const stream = async () => {
  /** @type {number[]} */
  const sent = [];
  /** @type {number[]} */
  const came = [];
  /** @type {Reply} */
  let reply = { status: 0 };
  let encoding = "";
  const began = performance.now();
  try {
    const response = await fetch(`${base}/api/doctor/stream`, {
      cache: "no-store",
      signal: AbortSignal.timeout(2 * REPLY_MS),
    });
    encoding = response.headers.get("content-encoding") || "";
    reply = { status: response.status, is_ours: response.ok, ...names(response) };
    if (!response.body) throw new Error("no body");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const ms = Math.round(performance.now() - began);
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        sent.push(object(line.slice(5)).sent_ms);
        came.push(ms);
      }
    }
  } catch (e) {
    reply.message = textOf(e);
  }
  return { sent_ms: sent, came_ms: came, reply, encoding };
};

/**
 * @param {Measured} found
 * @returns {Promise<Finding[] | undefined>}
 */
export const judged = async (found) => {
  const text = JSON.stringify(found);
  let { said } = await ask("/api/doctor/judge", {
    method: "POST",
    body: text,
    headers: { "Content-Type": "application/json" },
  });
  if (!said.findings)
    ({ said } = await ask(`/api/doctor/judge?measured=${encodeURIComponent(text)}`));
  return said.findings;
};
