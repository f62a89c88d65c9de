// @ts-check
// Files of the next question: chosen, dropped or pasted, and uploaded at once. The question has their ids.
import { h } from "vue";
import { choice, currentModel } from "wireside-kit/choice.js";
import * as drafts from "wireside-kit/drafts.js";
import { icon } from "wireside-kit/icons.js";

const AT_ONCE = 2; // uploads at a time; the server takes four of a user

/**
 * Whether a drag or a paste contains files and no text. Some programs add a picture of the text that is meant.
 * @param {DataTransfer | null} transfer
 */
function hasFilesOnly(transfer) {
  const types = [...(transfer?.types ?? [])];
  return types.includes("Files") && !types.some((type) => type.startsWith("text/plain"));
}

/** @param {SentFile} file */
const isImage = (file) => file.media_type.startsWith("image/");

/** @param {SentFile} file */
const isAudio = (file) => file.media_type.startsWith("audio/");

/**
 * Returns what is stored of files: those that are on the server.
 * @param {AttachedFile[]} attached
 * @returns {SentFile[]}
 */
export function sentFiles(attached) {
  return attached
    .filter((one) => one.id)
    .map(({ id, name, media_type, isKept }) => ({ id, name, media_type, isKept }));
}

/**
 * @param {SentFile[] | undefined} files
 * @returns {AttachedFile[]}
 */
export function attachedFiles(files) {
  return (files ?? []).map((file) => ({ ...file, key: file.id, progress: 1 }));
}

/**
 * @param {string} text
 * @param {string} name
 * @param {string | number} [limit]
 */
function sentence(text, name, limit) {
  return text.replace("{name}", () => name).replace("{limit}", () => String(limit));
}

/** @satisfies {ThisType<Composer>} */
export const files = {
  /** @param {DragEvent} e */
  onDrag(e) {
    if (!e.defaultPrevented && hasFilesOnly(e.dataTransfer)) e.preventDefault(); // otherwise the browser would navigate to the file
  },

  /** @param {DragEvent} e */
  onDrop(e) {
    if (e.defaultPrevented || !hasFilesOnly(e.dataTransfer)) return;
    e.preventDefault();
    this.addFiles(e.dataTransfer?.files ?? []);
  },

  /** @param {ClipboardEvent} e */
  onPaste(e) {
    if (!hasFilesOnly(e.clipboardData)) return;
    e.preventDefault();
    this.addFiles(e.clipboardData?.files ?? []);
  },

  /** @param {{ target: HTMLInputElement }} e */
  onPick(e) {
    this.addFiles(e.target.files ?? []);
    e.target.value = ""; // the same file can be chosen again
    this.$refs.box.focus();
  },

  /** @param {Iterable<File>} list */
  addFiles(list) {
    const { words, maxFiles, maxFileMb } = this;
    if (this.isTemporary) return this.tell(words.temporary_no_files);
    if (!maxFiles || this.isReader) return this.tell(words.no_files);
    this.tell("");
    for (const file of list) {
      if (this.attached.length >= maxFiles) {
        this.tell(sentence(words.too_many_files, "", maxFiles));
        break;
      }
      if (file.size > maxFileMb * 1024 * 1024) {
        this.tell(sentence(words.file_too_large, file.name, maxFileMb));
        continue;
      }
      this.attached.push({
        id: "",
        key: `${Date.now()} ${this.attached.length} ${file.name}`,
        name: file.name,
        media_type: file.type,
        progress: 0,
        file,
        preview: file.type.startsWith("image/") ? URL.createObjectURL(file) : "",
      });
    }
    this.uploadNext();
  },

  uploadNext() {
    const all = [...this.attached, ...this.attachedBefore];
    const running = all.filter((one) => one.request).length;
    const waiting = all.filter((one) => one.file && !one.request);
    for (const one of waiting.slice(0, AT_ONCE - running)) this.upload(one);
  },

  /** @param {AttachedFile} one */
  upload(one) {
    const request = new XMLHttpRequest(); // `fetch` does not report the progress of an upload
    one.request = request;
    request.open("POST", `${this.base}/api/uploads?name=${encodeURIComponent(one.name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (e) => (one.progress = e.total ? e.loaded / e.total : 0);
    request.onloadend = () => {
      if (!this.attached.includes(one) && !this.attachedBefore.includes(one)) return; // removed in the meantime
      one.request = null;
      if (request.status === 201) {
        const { id, name, media_type } = request.response;
        Object.assign(one, { id, name, media_type, file: null, progress: 1 });
        if (!isImage(one)) this.dropPreview(one); // only its name says that it is an image
        this.keepFiles();
      } else {
        this.removeFile(one);
        this.tell(this.whyRefused(one, request));
      }
      this.uploadNext();
    };
    request.send(one.file);
  },

  /**
   * @param {AttachedFile} one
   * @param {XMLHttpRequest} request
   */
  whyRefused(one, request) {
    const w = this.words;
    const { message, code } = request.response ?? {};
    if (message && document.documentElement.lang === "en") return message;
    return sentence(code === "invalid_attachment" ? w.upload_refused : w.upload_failed, one.name);
  },

  /** @param {AttachedFile} one */
  removeFile(one) {
    this.attached = this.attached.filter((other) => other !== one);
    this.attachedBefore = this.attachedBefore.filter((other) => other !== one);
    one.request?.abort();
    this.dropPreview(one);
    if (one.id && !one.isKept)
      fetch(`${this.base}/api/files/${one.id}`, { method: "DELETE" }).catch(() => {}); // else it expires
    this.keepFiles();
  },

  /** @param {AttachedFile} one */
  dropPreview(one) {
    if (one.preview) URL.revokeObjectURL(one.preview);
    one.preview = "";
  },

  // Takes the uploaded files out of the box, for a question.
  takeFiles() {
    const taken = sentFiles(this.attached);
    this.attached.forEach(this.dropPreview);
    this.attached = [];
    return taken;
  },

  /** @param {SentFile[] | undefined} kept */
  putFilesBack(kept) {
    const here = new Set(this.attached.map((one) => one.id));
    this.attached.push(...attachedFiles(kept).filter((one) => one.id && !here.has(one.id)));
    this.keepFiles();
  },

  keepFiles() {
    drafts.write("draft", this.id, this.draft());
  },

  chips() {
    if (!this.attached.length) return null;
    return h(
      "ul",
      { class: "ws-composer-chips", "data-testid": "attachments" },
      this.attached.map((one) => this.chip(one)),
    );
  },

  /** @param {AttachedFile} one */
  chip(one) {
    const w = this.words;
    const address =
      one.preview || (isImage(one) && one.id ? `${this.base}/api/files/${one.id}` : "");
    const remove = sentence(w.remove_file, one.name);
    return h(
      "li",
      { key: one.key, class: ["ws-composer-chip", address && "ws-composer-chip-image"] },
      [
        address ? h("img", { src: address, alt: one.name }) : icon(isAudio(one) ? "audio" : "file"),
        address
          ? null
          : h("span", { class: "ws-composer-chip-name", dir: "auto", title: one.name }, one.name),
        one.id
          ? null
          : h("progress", {
              value: one.progress,
              max: 1,
              "aria-label": sentence(w.uploading, one.name),
            }),
        h(
          "button",
          {
            type: "button",
            class: "ws-composer-chip-remove",
            "aria-label": remove,
            title: remove,
            onClick: () => {
              this.removeFile(one);
              this.$refs.box.focus();
            },
          },
          icon("close"),
        ),
      ],
    );
  },

  // The sentence for images that the chosen model can't see.
  blindText() {
    const model = currentModel();
    if (model?.canSee !== false || !this.attached.some(isImage)) return "";
    return this.words.cannot_see.replace("{model}", () => model.name ?? choice.model);
  },

  attachButton() {
    if (!this.maxFiles || this.isReader || this.isTemporary) return null;
    const w = this.words;
    return [
      h("input", {
        ref: "file",
        type: "file",
        multiple: true,
        hidden: true,
        "data-testid": "input-files",
        onChange: this.onPick,
      }),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "data-testid": "attach",
          "aria-label": w.attach,
          title: w.attach,
          onClick: () => this.$refs.file.click(),
        },
        icon("attach"),
      ),
    ];
  },
};
