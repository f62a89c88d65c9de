// @ts-check
// Writing to the clipboard, also on pages without HTTPS.
import { make } from "./dom.js";

/**
 * Writes a text to the clipboard. Throws if the browser does not allow it.
 *
 * @param {string | Promise<string>} text
 * @param {string} [html] version for programs that accept more than plain text
 */
export async function writeClipboard(text, html = "") {
  // `text` may be a promise: Safari requires the call within the click, before the text has arrived
  if (navigator.clipboard && window.ClipboardItem) {
    try {
      const blob = Promise.resolve(text).then((value) => new Blob([value], { type: "text/plain" }));
      /** @type {Record<string, Promise<Blob> | Blob>} */
      const item = { "text/plain": blob };
      if (html) item["text/html"] = new Blob([html], { type: "text/html" });
      await navigator.clipboard.write([new ClipboardItem(item)]);
      return;
    } catch {
      // not allowed, or promises are not supported here: use the fallback below
    }
  }
  const value = await text;
  if (navigator.clipboard && !html) {
    try {
      return await navigator.clipboard.writeText(value);
    } catch {
      // use the fallback below
    }
  }
  const area = make("textarea", "", { style: "position: fixed; opacity: 0" }); // plain http: there is no clipboard object
  area.value = value;
  document.body.append(area);
  area.select();
  /** @param {ClipboardEvent} event */
  const fill = (event) => {
    event.preventDefault();
    event.clipboardData?.setData("text/plain", value);
    if (html) event.clipboardData?.setData("text/html", html);
  };
  area.addEventListener("copy", fill);
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not let this page copy.");
}
