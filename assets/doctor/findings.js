// The findings, as elements and as text.

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string} [text]
 */
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

/** @type {Record<FindingState, string>} */
const MARKS = { ok: "✓", warning: "!", failed: "✗", skipped: "–" };

/** @param {Finding} finding */
export const shown = (finding) => {
  const item = element("li");
  item.dataset.state = finding.state;
  item.dataset.check = finding.check;
  const mark = element("span", "wd-mark", MARKS[finding.state]);
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", finding.state);
  const what = element("div", "wd-what");
  what.append(element("span", "", finding.seen));
  if (finding.hop || finding.remedy) {
    const who = element("p", "wd-hop");
    if (finding.hop) who.append("At fault: ", element("b", "", `the ${finding.hop}`), ". ");
    who.append(finding.remedy);
    what.append(who);
  }
  const lines = Object.entries(finding.lines);
  if (lines.length) {
    const box = element("div", "wd-lines");
    for (const [where, text] of lines) {
      const figure = element("figure");
      figure.append(element("figcaption", "", where), element("pre", "", text));
      box.append(figure);
    }
    what.append(box);
  }
  item.append(mark, element("strong", "", finding.check), what);
  return item;
};

/** @param {Finding[]} findings */
export const asText = (findings) =>
  findings
    .map((one) => {
      const who = [one.hop && `At fault: the ${one.hop}.`, one.remedy].filter(Boolean).join(" ");
      const lines = Object.entries(one.lines).map(
        ([where, text]) => `    ${where}: ${text.replaceAll("\n", "\n        ")}`,
      );
      return [`${MARKS[one.state]} ${one.check}: ${one.seen}`, who && `    ${who}`, ...lines]
        .filter(Boolean)
        .join("\n");
    })
    .join("\n");
