// @ts-check
// Images and files of an answer.
import { make } from "wireside-kit/dom.js";
import { download } from "wireside-kit/download.js";
import { iconMarkup } from "wireside-kit/icons.js";

/**
 * Formats a size: "1.2 MB".
 * @param {number} bytes
 */
function sizeText(bytes) {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return new Intl.NumberFormat(document.documentElement.lang || undefined, {
    style: "unit",
    unit: ["byte", "kilobyte", "megabyte", "gigabyte"][power],
    unitDisplay: power ? "short" : "long",
    maximumFractionDigits: power && value < 10 ? 1 : 0,
  }).format(value);
}

/**
 * @param {string} className
 * @param {IconName} icon
 * @param {string} name
 * @param {string} [detail]
 */
function named(className, icon, name, detail) {
  const el = make("span", className);
  el.innerHTML = iconMarkup(icon);
  const text = make("span", "ws-turn-download-name", { dir: "auto" });
  text.textContent = name;
  el.append(text);
  if (!detail) return el;
  const more = make("span", "ws-turn-download-detail");
  more.textContent = detail;
  el.append(more);
  return el;
}

/**
 * Returns the content of a `data:` URL; the browser must not take it for a page.
 * @param {string} url
 */
function blobOf(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: "application/octet-stream" });
}

/** @satisfies {ThisType<Transcript>} */
export const attachments = {
  /**
   * Returns an address as it is loaded: a path is one of the server, which may be mounted below another path.
   * @param {string} url
   */
  addressOf(url) {
    return url.startsWith("/") ? this.assets.replace(/\/assets$/, "") + url : url;
  },

  /** @param {Whole<"image">} part */
  imageElement({ data, text }) {
    if (data.host) return this.imageLink(data);
    const label = data.name || this.words.image;
    const el = make("button", "ws-turn-picture", { type: "button", title: this.words.open_image });
    const image = make("img", "", { alt: label, "data-testid": "image" });
    image.decoding = "async";
    image.onerror = () => el.replaceWith(this.plainPart(text));
    image.src = this.addressOf(data.url);
    el.append(image);
    el.onclick = () => this.enlarge(image);
    return el;
  },

  /**
   * An image of another server is only linked: loading it would tell that server who reads.
   * @param {ImageData_} image
   */
  imageLink({ url, name, host }) {
    const el = make("a", "ws-turn-download", {
      href: url,
      target: "_blank",
      rel: "noopener noreferrer nofollow",
      title: url,
    });
    el.append(named("ws-turn-download-label", "picture", name || this.words.image, host));
    return el;
  },

  /** @param {HTMLImageElement} image */
  enlarge(image) {
    const dialog = make("dialog", "ws-transcript-large", {
      "aria-label": image.alt,
      "data-testid": "large",
    });
    const large = make("img", "", { alt: image.alt });
    large.src = image.src;
    const close = this.plainButton(this.words.close, () => dialog.close(), "close");
    close.classList.add("ws-transcript-large-close");
    dialog.append(large, close);
    dialog.onclick = () => dialog.close();
    dialog.onkeydown = (event) => event.key === "Escape" && event.stopPropagation(); // would stop an answer
    dialog.onclose = () => dialog.remove();
    this.$el.append(dialog);
    dialog.showModal();
  },

  /** @param {Whole<"file">} part */
  fileElement({ data }) {
    const { url, name, size_bytes: size } = data;
    const isOwn = url.startsWith("/");
    const shown = name || this.words.file;
    const el = isOwn
      ? make("a", "ws-turn-download", { href: this.addressOf(url), download: name })
      : make("button", "ws-turn-download", { type: "button" });
    el.dataset.testid = "file";
    el.title = this.words.download;
    el.append(
      named("ws-turn-download-label", "download", shown, size == null ? "" : sizeText(size)),
    );
    if (!isOwn) el.onclick = () => download(blobOf(url), shown);
    return el;
  },
};
