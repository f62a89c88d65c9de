// @ts-check
// What the user has saved, which several components show: prompts and presets, as the REST API has them.
import { reactive } from "vue";

export const saved = reactive({
  prompts: /** @type {Prompt[]} */ ([]),
  presets: /** @type {Preset[]} */ ([]),
  /** The id of the preset for new chats. */
  defaultPreset: /** @type {string | null} */ (null),
  /** Whether the presets are known. */
  isLoaded: false,
});

/**
 * Sends a request to the REST API. Returns what it answers, or its error.
 *
 * @param {string} address
 * @param {string} [method]
 * @param {unknown} [body]
 * @returns {Promise<Answer>}
 */
export async function ask(address, method = "GET", body = undefined) {
  try {
    const isFile = body instanceof Blob;
    const response = await fetch(address, {
      method,
      body: body === undefined || isFile ? body : JSON.stringify(body),
      headers: body === undefined || isFile ? {} : { "Content-Type": "application/json" },
    });
    const data = response.status === 204 ? null : await response.json();
    if (response.ok) return { data, problem: null };
    const { message = "", code = "bad_message" } = data; // a 422 has neither
    return { data: null, problem: { message, code } };
  } catch {
    return { data: null, problem: { message: "", code: "offline" } }; // no connection, or another server answered
  }
}

/**
 * Returns the sentence of an error in the page's language. The server's own are English, and more detailed.
 *
 * @param {Problem} problem
 * @param {Words} words
 */
export function explain({ message, code }, words) {
  if (code === "offline") return words.offline;
  if (message && document.documentElement.lang === "en") return message;
  return words["saved_" + code] ?? words.saved_failed;
}

/** @param {string} base */
export async function loadPrompts(base) {
  const { data, problem } = await ask(`${base}/api/prompts`);
  if (data) saved.prompts = data.prompts;
  return problem;
}

/** @param {string} base */
export async function loadPresets(base) {
  const { data, problem } = await ask(`${base}/api/presets`);
  if (data) {
    saved.presets = data.presets;
    saved.defaultPreset = data.default;
    saved.isLoaded = true;
  }
  return problem;
}

const LINE_CHARS = 200;
const MAX_ASKED = 20; // variables of a prompt
const VARIABLE = /\{\{\s*([^{}\n]{1,60}?)\s*\}\}/g;

/**
 * Returns the names of the variables of a prompt that are asked for, each once.
 * @param {string} text
 */
export function variables(text) {
  return [...new Set([...text.matchAll(VARIABLE)].map((found) => found[1]))].slice(0, MAX_ASKED);
}

/**
 * Returns the beginning of a text, which a list shows in one line.
 * @param {string} text
 */
export function firstLine(text) {
  return text.slice(0, LINE_CHARS);
}

/**
 * Returns the text of a prompt with the values of its variables; one without a value stays as it is.
 *
 * @param {string} text
 * @param {Record<string, string>} values
 */
export function filled(text, values) {
  return text.replace(VARIABLE, (found, name) =>
    Object.hasOwn(values, name) ? values[name] : found,
  );
}
