// @ts-check
// The icons of the page: outlines in a square of 24, with the text's colour.
import { h } from "vue";

const PATHS = {
  archive: "M4 5h16v4H4zM5.5 9v10h13V9M10 13h4",
  arrow_down: "M12 5v14m-6-6l6 6 6-6",
  attach:
    "M19.5 11.5l-7.6 7.6a4.6 4.6 0 01-6.5-6.5l8-8a3.1 3.1 0 014.4 4.4l-8 8a1.6 1.6 0 01-2.2-2.2l7.3-7.4",
  audio: "M5 10v4M9 6.5v11M13 9v6M17 4.5v15M21 10v4",
  auto: "M12 3a9 9 0 100 18V3z M12 3a9 9 0 010 18",
  back: "M14.5 6l-6 6 6 6",
  caret_down: "M7 10l5 5 5-5",
  chart: "M5 19V10M12 19V5M19 19v-6M3.5 19h17",
  check: "M5 12.5l4.5 4.5L19 7.5",
  chevron_down: "M6 9l6 6 6-6",
  close: "M6 6l12 12M18 6L6 18",
  code: "M8.5 7L3.5 12l5 5M15.5 7l5 5-5 5",
  comment:
    "M5 5h14a1.5 1.5 0 011.5 1.5v8A1.5 1.5 0 0119 16h-6.5L8 20v-4H5a1.5 1.5 0 01-1.5-1.5v-8A1.5 1.5 0 015 5z",
  compose:
    "M12 5H7a2 2 0 00-2 2v10a2 2 0 002 2h10a2 2 0 002-2v-5M10.5 13.5l.7-2.7 7.5-7.5a1.5 1.5 0 012 2l-7.5 7.5z",
  copy: "M11.5 9h6a2.5 2.5 0 012.5 2.5v6a2.5 2.5 0 01-2.5 2.5h-6A2.5 2.5 0 019 17.5v-6A2.5 2.5 0 0111.5 9zM5.5 15H5a2 2 0 01-2-2V5a2 2 0 012-2h8a2 2 0 012 2v.5",
  dots: "M5 12h.01M12 12h.01M19 12h.01",
  download: "M12 4v10.5M7.5 10.5L12 15l4.5-4.5M5 19.5h14",
  edit: "M4 20h4L19.5 8.5a2.1 2.1 0 00-3-3L5 17zM14.5 7l2.5 2.5",
  file: "M13.5 3.5H7a1.5 1.5 0 00-1.5 1.5v14A1.5 1.5 0 007 20.5h10a1.5 1.5 0 001.5-1.5V8.5zM13.5 3.5v5h5",
  filter: "M4 6.5h16M7 12h10M10 17.5h4",
  folder: "M4 6.5h5.5l2 2.5H20v9a1.5 1.5 0 01-1.5 1.5h-13A1.5 1.5 0 014 18z",
  gear: "M9.2 12a2.8 2.8 0 105.6 0 2.8 2.8 0 10-5.6 0M12 3.5l1 2.4 2.5-.6.9 2.4 2.5.6-.6 2.5 2.2 1.2-2.2 1.2.6 2.5-2.5.6-.9 2.4-2.5-.6-1 2.4-1-2.4-2.5.6-.9-2.4-2.5-.6.6-2.5L3.5 12l2.2-1.2-.6-2.5 2.5-.6.9-2.4 2.5.6z",
  help: "M3 12a9 9 0 1018 0 9 9 0 10-18 0M9.6 9.4a2.5 2.5 0 014.9.7c0 1.7-2.5 2.1-2.5 3.7M12 16.9v.1",
  keyboard:
    "M4 6.5h16a1 1 0 011 1v9a1 1 0 01-1 1H4a1 1 0 01-1-1v-9a1 1 0 011-1zM7 10.5h.01M10.3 10.5h.01M13.7 10.5h.01M17 10.5h.01M8 14h8",
  leave: "M14 5H6.5v14H14M10.5 12h10M17 8.5l3.5 3.5-3.5 3.5",
  link: "M10 14a4 4 0 005.7 0l2.8-2.8a4 4 0 00-5.7-5.7L11.5 6.8M14 10a4 4 0 00-5.7 0l-2.8 2.8a4 4 0 005.7 5.7l1.3-1.3",
  microphone:
    "M12 3.5a2.8 2.8 0 012.8 2.8v5.4a2.8 2.8 0 01-5.6 0V6.3A2.8 2.8 0 0112 3.5zM5.8 11.5a6.2 6.2 0 0012.4 0M12 17.7v3",
  moon: "M20 14.5A8 8 0 019.5 4 8 8 0 1020 14.5z",
  next: "M9 6l6 6-6 6",
  people:
    "M5.5 8.5a3.5 3.5 0 107 0 3.5 3.5 0 10-7 0M2.5 19.5a6.5 6.5 0 0113 0M15.5 5.2a3.5 3.5 0 010 6.6M18 14a6.5 6.5 0 013.5 5.5",
  person: "M8 8a4 4 0 108 0 4 4 0 10-8 0M4.5 20a7.5 7.5 0 0115 0",
  plus: "M12 5v14M5 12h14",
  picture:
    "M6 4h12a3 3 0 013 3v10a3 3 0 01-3 3H6a3 3 0 01-3-3V7a3 3 0 013-3zM7 9.5a1.5 1.5 0 103 0 1.5 1.5 0 10-3 0M4 18l5.5-5 3.5 3 3-2.5 4.5 4",
  pin: "M9 4h6l-.7 6 3.2 3v2h-11v-2l3.2-3zM12 15v5.5",
  previous: "M15 6l-6 6 6 6",
  pulse: "M3 12h4l2.5-6.5 5 13L17 12h4",
  prompt:
    "M5 4.5h14a1.5 1.5 0 011.5 1.5v12a1.5 1.5 0 01-1.5 1.5H5A1.5 1.5 0 013.5 18V6A1.5 1.5 0 015 4.5zM13.5 8.5l-3 7",
  retry: "M20 11.5a8 8 0 10-2.3 6M20.5 5.5v6h-6",
  search: "M4.5 11a6.5 6.5 0 1013 0 6.5 6.5 0 10-13 0M20 20l-4.2-4.2",
  send: "M12 19V5m-6 6l6-6 6 6",
  send_now: "M13 3.5L5.5 13.5H11l-1 7 7.5-10H12z",
  sidebar: "M4 5.5h16v13H4zM9.5 5.5v13",
  stop: "M8.5 6.5h7a2 2 0 012 2v7a2 2 0 01-2 2h-7a2 2 0 01-2-2v-7a2 2 0 012-2z",
  stop_solid: "M8 8h8v8H8z",
  sun: "M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7l1.4-1.4M4.9 19.1l1.4-1.4m11.4 0l1.4 1.4M4.9 4.9l1.4 1.4M16 12a4 4 0 11-8 0 4 4 0 018 0z",
  tag: "M12.5 4H19a1 1 0 011 1v6.5L11.5 20 4 12.5zM15.8 8.2h.01",
  temporary:
    "M7 3.6a9 9 0 0110 0M20.4 7a9 9 0 010 10M17 20.4a9 9 0 01-10 0M3.6 17a9 9 0 010-10M12 7.5V12l3 2",
  thumb_down:
    "M17 13V4h2.5A1.5 1.5 0 0121 5.5v6a1.5 1.5 0 01-1.5 1.5zM17 13l-4 7.2c-1.4 0-2.4-1.1-2.2-2.5l.5-3.2H5.5a2 2 0 01-2-2.4l1.2-6.5a2 2 0 012-1.6H17",
  thumb_up:
    "M7 11v9H4.5A1.5 1.5 0 013 18.5v-6A1.5 1.5 0 014.5 11zM7 11l4-7.2c1.4 0 2.4 1.1 2.2 2.5L12.7 9.5h5.8a2 2 0 012 2.4l-1.2 6.5a2 2 0 01-2 1.6H7",
  trash: "M5 7h14M10 7V5h4v2M7 7l.8 12.5h8.4L17 7",
  tune: "M4 8h9m5 0h2M4 16h2m5 0h9M13 8a2.5 2.5 0 105 0 2.5 2.5 0 10-5 0M6 16a2.5 2.5 0 105 0 2.5 2.5 0 10-5 0",
  upload: "M12 15V4.5M7.5 8.5L12 4l4.5 4.5M5 19.5h14",
  wrap: "M4 6h16M4 12h12.5a3.25 3.25 0 010 6.5H13M15.5 16L13 18.5l2.5 2.5M4 18.5h4.5",
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * Whether there is an icon of that name.
 *
 * @param {string} name
 * @returns {name is IconName}
 */
export const isIcon = (name) => Object.hasOwn(PATHS, name);

/**
 * Returns an icon as a Vue node.
 *
 * @param {IconName} name
 * @param {string} [className]
 */
export function icon(name, className = "") {
  const attributes = {
    viewBox: "0 0 24 24",
    width: 20,
    height: 20,
    class: ["ws-icon", className],
    "aria-hidden": "true",
  };
  return h("svg", attributes, h("path", { d: PATHS[name] }));
}

/**
 * Returns an icon as HTML.
 *
 * @param {IconName} name
 */
export const iconMarkup = (name) =>
  `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${PATHS[name]}"/></svg>`;
