// @ts-check
// The links of a chat below the message box.
import { h } from "vue";

/**
 * Returns the links, given as pairs of label and address; null without any.
 *
 * @param {[label: string, href: string][]} links
 */
export function footerLinks(links) {
  if (!links?.length) return null;
  /** @param {[label: string, href: string]} pair */
  const link = ([label, href]) => {
    const isOutside = /^https?:/.test(href);
    const outside = isOutside ? { target: "_blank", rel: "noopener noreferrer" } : {};
    return h("a", { href, ...outside }, label);
  };
  return h("div", { class: "ws-composer-links", "data-testid": "links" }, links.map(link));
}
