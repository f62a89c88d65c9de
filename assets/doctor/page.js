// The page of the connection doctor.
import { asText, shown } from "./findings.js";
import { measure } from "./measurement.js";
import { base, judged } from "./requests.js";

const root = document.getElementById("doctor");
const at = (id) => document.getElementById(id);
let report = "";

const examine = async () => {
  const [button, progress, verdict] = [at("examine"), at("progress"), at("verdict")];
  button.disabled = true;
  at("report").hidden = true;
  progress.hidden = false;
  progress.value = 0;
  delete verdict.dataset.state;
  verdict.textContent = root.dataset.measuring;
  let findings;
  try {
    findings = await judged(
      await measure(Number(at("silence").value), () => {
        progress.value += 1 / 7;
      }),
    );
  } catch (e) {
    console.warn(e);
  }
  progress.hidden = true;
  button.disabled = false;
  button.textContent = root.dataset.again;
  if (!findings) {
    verdict.dataset.state = "failed";
    verdict.textContent = root.dataset.unjudged;
    return;
  }
  const bad = findings.filter((one) => one.state === "failed" || one.state === "warning");
  verdict.dataset.state = bad.some((one) => one.state === "failed")
    ? "failed"
    : bad.length
      ? "warning"
      : "ok";
  verdict.textContent = bad.length
    ? root.dataset.look.replace("{count}", bad.length)
    : root.dataset.well;
  at("findings").replaceChildren(...findings.map(shown));
  at("report").hidden = false;
  report = asText(findings);
  at("copy").textContent = root.dataset.copyWord;
};

export function start() {
  at("command").textContent = `wireside doctor ${location.origin}${base}`; // the server may see another name
  at("examine").addEventListener("click", examine);
  at("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(report);
      at("copy").textContent = root.dataset.copied;
    } catch {
      getSelection().selectAllChildren(at("findings"));
    }
  });
}
