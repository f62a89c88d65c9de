// A chat bubble for other pages: a button that opens the chat in a frame.
//
//   <script src="https://example.org/chat/assets/client/embed.js" data-label="Ask us" async></script>
//
// Attributes: `data-label` (accessible name and tooltip of the button), `data-accent` (its colour, `#rrggbb`),
// `data-side` ("right" or "left"), `data-close` (accessible name of the button while the chat is open).
// `window.wiresideBubble` has `open()`, `close()` and `toggle()`. The server must allow the page as a frame
// ancestor (WIRESIDE_FRAME_ANCESTORS).
(() => {
  const script = document.currentScript;
  if (!(script instanceof HTMLScriptElement) || window.wiresideBubble) return;
  const { label = "Chat", accent = "#2f6f5e", side = "right", close = "Close" } = script.dataset;
  const chat = new URL("../../", script.src).href; // of .../assets/client/embed.js

  const STYLE = `
    :host { all: initial; }
    button, iframe { position: fixed; z-index: 2147483000; ${side === "left" ? "left" : "right"}: 20px; }
    button {
      bottom: 20px; width: 56px; height: 56px; border: 0; border-radius: 50%; padding: 0; cursor: pointer;
      background: var(--accent); color: #fff; box-shadow: 0 4px 16px rgb(0 0 0 / 25%);
    }
    button:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
    svg { width: 28px; height: 28px; display: block; margin: auto; }
    iframe {
      bottom: 88px; width: 400px; height: min(640px, calc(100dvh - 108px)); border: 0; border-radius: 16px;
      background: Canvas; box-shadow: 0 8px 40px rgb(0 0 0 / 30%);
    }
    [hidden] { display: none; }
    @media (max-width: 480px) {
      iframe { inset: 0 0 auto; width: 100%; height: calc(100dvh - 88px); border-radius: 0 0 16px 16px; }
    }
    @media print { button, iframe { display: none; } }
  `;
  const OPEN_ICON = "M4 5.5h16v10.5H11l-4.5 3.8v-3.8H4z";
  const CLOSE_ICON = "M6 6l12 12M18 6L6 18";

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  // a constructed sheet is allowed by any Content-Security-Policy of the page
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  host.style.setProperty("--accent", /^#[0-9a-f]{3,8}$/i.test(accent) ? accent : "#2f6f5e");

  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, value] of Object.entries({
    viewBox: "0 0 24 24",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "2",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
  }))
    svg.setAttribute(name, value);
  svg.append(path);

  const button = document.createElement("button");
  button.type = "button";
  button.append(svg);
  root.append(button);

  /** @type {HTMLIFrameElement | null} */
  let frame = null; // created when it is first opened; a closed chat keeps its page
  const isOpen = () => frame !== null && !frame.hidden;

  /** @param {boolean} opens */
  const show = (opens) => {
    if (opens && !frame) {
      frame = document.createElement("iframe");
      frame.src = chat;
      frame.title = label;
      frame.allow = "clipboard-write";
      root.append(frame);
    }
    if (frame) frame.hidden = !opens;
    path.setAttribute("d", opens ? CLOSE_ICON : OPEN_ICON);
    button.setAttribute("aria-expanded", String(opens));
    button.title = opens ? close : label;
    button.setAttribute("aria-label", opens ? close : label);
    if (opens) frame?.focus();
  };

  window.wiresideBubble = {
    open: () => show(true),
    close: () => show(false),
    toggle: () => show(!isOpen()),
  };
  button.addEventListener("click", window.wiresideBubble.toggle);
  addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !isOpen()) return;
    show(false);
    button.focus();
  });
  show(false);
  const add = () => document.body.append(host);
  document.body ? add() : addEventListener("DOMContentLoaded", add);
})();
