// The page of the connection doctor.
import { asText, shown } from "./findings.js";
import { measure } from "./measurement.js";
import { base, judged } from "./requests.js";

const { dataset: words } = at("doctor");
/** @param {string} id */
function at(id) {
  const el = document.getElementById(id);
  if (!el) throw new Error(`There is no #${id}.`);
  return el;
}

let report = "";

const examine = async () => {
  const button = /** @type {HTMLButtonElement} */ (at("examine"));
  const progress = /** @type {HTMLProgressElement} */ (at("progress"));
  const verdict = at("verdict");
  button.disabled = true;
  at("report").hidden = true;
  progress.hidden = false;
  progress.value = 0;
  delete verdict.dataset.state;
  verdict.textContent = words.measuring ?? "";
  /** @type {Finding[] | undefined} */
  let findings;
  try {
    findings = await judged(
      await measure(Number(/** @type {HTMLInputElement} */ (at("silence")).value), () => {
        progress.value += 1 / 7;
      }),
    );
  } catch (e) {
    console.warn(e);
  }
  progress.hidden = true;
  button.disabled = false;
  button.textContent = words.again ?? "";
  if (!findings) {
    verdict.dataset.state = "failed";
    verdict.textContent = words.unjudged ?? "";
    return;
  }
  const bad = findings.filter((one) => one.state === "failed" || one.state === "warning");
  verdict.dataset.state = bad.some((one) => one.state === "failed")
    ? "failed"
    : bad.length
      ? "warning"
      : "ok";
  verdict.textContent = bad.length
    ? (words.look ?? "").replace("{count}", String(bad.length))
    : (words.well ?? "");
  at("findings").replaceChildren(...findings.map(shown));
  at("report").hidden = false;
  report = asText(findings);
  at("copy").textContent = words.copyWord ?? "";
};

export function start() {
  at("command").textContent = `wireside doctor ${location.origin}${base}`; // the server may see another name
  at("examine").addEventListener("click", examine);
  at("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(report);
      at("copy").textContent = words.copied ?? "";
    } catch {
      getSelection()?.selectAllChildren(at("findings"));
    }
  });
}
