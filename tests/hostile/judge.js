// The effects of hostile text on a page, as sentences; empty if there are none.
// `roots`: selector of the elements that show untrusted text.
(roots) => {
  const ACTIVE =
    "script, style, link, meta, base, iframe, frame, frameset, object, embed, applet, portal, fencedframe, form, input, select, textarea, dialog, template, noscript, video, audio, source, track, picture, marquee, isindex, keygen, foreignObject, animate, set, use, image";
  const TEXT_ONLY =
    ".ws-turn-bubble, .ws-turn-tool-call-text, .ws-turn-fold-label, .ws-turn-note-text, .ws-sidebar-item-link, .ws-picker-button, [role=option], .ws-composer-hint";
  const PART_TEXT =
    ".ws-turn-data, .ws-turn-cell, .ws-turn-download-name, .ws-turn-source-title, .ws-turn-source-name, .ws-turn-source-text, .ws-turn-ask-label, .ws-turn-ask-button";
  const judged = new Set(); // roots may contain each other
  const FAR = 48; // px that a shadow, an outline or a list marker may extend beyond its message
  const found = [];
  const say = (el, what) => found.push(`${what}: ${el.outerHTML.slice(0, 300)}`);

  const isOurs = (el) =>
    el.closest("form.ws-turn-say, .ws-prose-tools, .ws-turn-actions, summary > svg") ||
    el.matches(
      ".ws-turn-ask-prompt, .ws-turn-ask-form, .ws-turn-ask-input, .ws-turn-ask-input > option, .ws-turn-ask-option > input",
    );
  const REASONING = {
    class: /^ws-turn-think-(heading|item)$|^ws-mark/,
    style: /^--depth: \d;$/,
    dir: /^ltr$/,
  };
  const hasOnly = (el, allowed) =>
    [...el.attributes].every(({ name, value }) => allowed[name]?.test(value));
  const isRaster = (url) => /^data:image\/(png|jpeg|gif|webp);base64,/.test(url);
  const isOwnPath = (url) => /^\/(?!\/)/.test(url);

  function attributes(el) {
    for (const { name, value } of el.attributes) {
      if (/^on/i.test(name)) say(el, `attribute ${name}`);
      if (
        [
          "srcdoc",
          "formaction",
          "ping",
          "srcset",
          "action",
          "background",
          "poster",
          "xlink:href",
        ].includes(name)
      )
        say(el, `attribute ${name}`);
      if (
        name === "href" &&
        !/^(https?:\/\/|mailto:)/.test(value) &&
        el.closest(".ws-prose, .ws-turn-parts")
      )
        if (!el.matches("a.ws-turn-download[download]") || !isOwnPath(value)) say(el, "address");
      if (name === "src" && !/^data:image\/svg\+xml;charset=utf-8,/.test(value))
        if (!el.matches(".ws-turn-picture > img") || !(isRaster(value) || isOwnPath(value)))
          say(el, "source");
      if (name === "style" && el.closest(".katex")) continue; // of KaTeX itself: other elements can't have its class
      if (
        [
          "style",
          "id",
          "data-action",
          "data-testid",
          "contenteditable",
          "popover",
          "tabindex",
        ].includes(name) &&
        el.closest(".ws-prose") &&
        !isOurs(el) &&
        !el.matches(
          'pre[tabindex="0"], .ws-fn[tabindex="0"], .ws-math[tabindex="0"], .ws-prose-diagram',
        )
      )
        say(el, `attribute ${name}`);
    }
    if (
      el.localName === "a" &&
      el.closest(".ws-prose, .ws-turn-parts") &&
      !el.matches("[download]")
    ) {
      if (
        el.target !== "_blank" ||
        !el.relList.contains("noopener") ||
        !el.relList.contains("noreferrer")
      )
        say(el, "a link that keeps a tie to the page");
      if (el.username || el.password) say(el, "a link with a name before its host");
      const said = el.title || el.nextElementSibling?.textContent || "";
      if (!said.includes(el.host)) say(el, `a link that does not say ${el.host}`);
    }
  }

  // A figure has Plotly's own elements and styles; it must not lead anywhere.
  function judgeFigure(el) {
    if (el.matches("script, iframe, object, embed, foreignObject")) say(el, "an active element");
    for (const { name, value } of el.attributes) {
      if (/^on/i.test(name)) say(el, `attribute ${name}`);
      if (/href$|^src$/.test(name) && !/^#/.test(value) && !isRaster(value)) say(el, "address");
      if (name === "style" && /url\((?!["']?#)/.test(value)) say(el, "address");
    }
  }

  // Whether the visible part of `el`, clipped by its ancestors, extends beyond `box`.
  function reachesOut(el, box) {
    const edge = box.getBoundingClientRect();
    let { left, top, right, bottom } = el.getBoundingClientRect();
    const isOut = () =>
      left < edge.left - FAR ||
      right > edge.right + FAR ||
      top < edge.top - FAR ||
      bottom > edge.bottom + FAR;
    if (!isOut()) return false;
    for (let up = el.parentElement; up; up = up === box ? null : up.parentElement) {
      const style = getComputedStyle(up);
      const clip = up.getBoundingClientRect();
      if (style.overflowX !== "visible")
        [left, right] = [Math.max(left, clip.left - FAR), Math.min(right, clip.right + FAR)];
      if (style.overflowY !== "visible")
        [top, bottom] = [Math.max(top, clip.top - FAR), Math.min(bottom, clip.bottom + FAR)];
    }
    return right - left >= 1 && bottom - top >= 1 && isOut();
  }

  for (const root of document.querySelectorAll(roots)) {
    if (root.matches(TEXT_ONLY)) {
      for (const el of root.children)
        if (!el.matches("mark, span, svg")) say(el, "an element in what is text");
    }
    if (root.matches(".ws-turn-think-text")) {
      for (const el of root.querySelectorAll("*"))
        if (!el.matches("p, pre, p > strong, p > code, mark") || !hasOnly(el, REASONING))
          say(el, "an element in reasoning");
    }
    for (const el of root.querySelectorAll("*")) {
      if (judged.has(el)) continue;
      judged.add(el);
      if (el.parentElement.matches(PART_TEXT)) say(el, "an element in what is text");
      if (isOurs(el)) continue;
      if (el.closest(".ws-turn-figure-plot")) {
        judgeFigure(el);
        continue;
      }
      if (el.matches(ACTIVE)) say(el, "an active element");
      attributes(el);
      if (!el.closest(".ws-prose")) continue;
      const { position } = getComputedStyle(el);
      if (position === "fixed" || position === "sticky") say(el, `position ${position}`);
      if (position === "absolute" && !el.matches(".katex *")) say(el, "position absolute");
      if (reachesOut(el, el.closest(".ws-prose"))) say(el, "out of its message");
    }
  }
  for (const el of document.querySelectorAll("form"))
    if (!el.matches(".ws-composer-box, .ws-turn-say, .ws-header-sheet form, .ws-turn-ask-form"))
      say(el, "a form");
  for (const el of document.querySelectorAll("body:has(> #app) > *")) {
    if (
      el.matches(
        "script, style, #app, #popup, #too_long_message_popup, #esm-fallback, #nicegui-keep-alive-cache, #js-plotly-tester, .plotly-notifier, .ws-shell, noscript, textarea.ws-transcript-offscreen, main, link, q-portal, [id^=q-]",
      )
    )
      continue;
    if (el.localName === "div" && !el.childElementCount && !el.textContent) continue; // an empty element of Quasar
    say(el, "beside the page");
  }
  for (const [name, selector] of [
    ["the header", ".ws-header"],
    ["the composer", ".ws-composer .ws-composer-box"],
    ["the sidebar", ".ws-sidebar"],
  ]) {
    const el = document.querySelector(`#app ${selector}`);
    if (!el) continue;
    const { left, top, width, height } = el.getBoundingClientRect();
    for (const [x, y] of [
      [0.1, 0.5],
      [0.5, 0.5],
      [0.9, 0.5],
    ]) {
      const at = document.elementFromPoint(left + width * x, top + height * y);
      if (at && !el.contains(at)) say(at, `covers ${name}`);
    }
  }
  return found;
};
