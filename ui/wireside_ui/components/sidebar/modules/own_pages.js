// @ts-check
// Links to the pages next to the chat.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";

/**
 * Returns the list of links, given as pairs of title and address; null without any.
 *
 * @param {[title: string, href: string][]} pages
 * @param {Words} words
 */
export function ownPages(pages, words) {
  if (!pages?.length) return null;
  /** @param {[title: string, href: string]} pair */
  const link = ([title, href]) =>
    h("li", h("a", { class: "ws-sidebar-page", href }, [icon("file"), h("span", title)]));
  return h(
    "ul",
    { class: "ws-sidebar-pages", "aria-label": words.pages, "data-testid": "pages" },
    pages.map(link),
  );
}
