// @ts-check
// The dialogs of folders: the choice of a folder for conversations, and the name of a folder.
import { h } from "vue";
import { showDialog } from "wireside-kit/dialogs.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";
import { ask, explain } from "wireside-kit/saved.js";

/** @satisfies {ThisType<Sidebar>} */
export const folderDialogs = {
  // ---- the choice of a folder ----

  /**
   * @param {string[]} ids
   * @param {Item} [known] the conversation, if the list may not have it
   */
  chooseFolder(ids, known) {
    const items = known ? [known] : ids.flatMap((id) => this.items.get(id) ?? []);
    this.folderProblem = "";
    this.draft = "";
    // after the menu has given back the focus, which the dialog returns to
    this.$nextTick(() => (this.moving = { ids, items }));
  },

  moveDialog() {
    const w = this.words;
    if (!this.moving) return null;
    const { ids, items } = this.moving;
    const [first] = items;
    const shared = items.every((item) => this.folderOf(item) === this.folderOf(first));
    const current = shared && first ? (this.folderOf(first)?.id ?? null) : undefined;
    /**
     * @param {string | null} id
     * @param {string} name
     */
    const choice = (id, name) =>
      h("li", { key: id ?? "" }, [
        h(
          "button",
          {
            type: "button",
            class: "ws-sidebar-choice",
            "data-testid": "choose-folder",
            "aria-current": current === id ? "true" : undefined,
            autofocus: id === (current ?? null),
            onClick: () => this.closeDialog(() => current !== id && this.move(ids, id)),
          },
          [
            icon(id === null ? "close" : "folder"),
            h("span", { dir: id === null ? undefined : "auto" }, name),
            current === id ? icon("check") : null,
          ],
        ),
      ]);
    const title = w.move_to_folder.replace(/\s*…$/, "");
    return this.dialog("move-dialog", title, () => (this.moving = null), [
      h("ul", { class: "ws-sidebar-choices", onKeydown: this.onChoiceKey }, [
        choice(null, w.no_folder),
        ...this.folders.map(({ id, name }) => choice(id, name)),
      ]),
      this.nameForm(w.new_folder, w.create, "", async (name) => {
        const made = await this.saveFolder("", name);
        if (made) this.closeDialog(() => this.move(ids, made.id));
      }),
    ]);
  },

  /** @param {KeyboardEvent & { target: HTMLElement; currentTarget: HTMLElement }} e */
  onChoiceKey(e) {
    const choices = [...e.currentTarget.querySelectorAll("button")];
    const at = choices.findIndex((choice) => choice === e.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: choices.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    choices[Math.min(Math.max(to, 0), choices.length - 1)]?.focus();
  },

  // ---- the name of a folder ----

  newFolder() {
    this.editFolder({ id: "", name: "" });
  },

  /** @param {Folder} folder */
  editFolder(folder) {
    this.folderProblem = "";
    this.isRemovalSure = false;
    this.draft = folder.name;
    this.folder = folder;
  },

  folderDialog() {
    const w = this.words;
    const { folder } = this;
    if (!folder) return null;
    /** @param {string} name */
    const save = async (name) => {
      if (await this.saveFolder(folder.id, name)) this.closeDialog();
    };
    const remove = async () => {
      if (!this.isRemovalSure) return (this.isRemovalSure = true);
      if (await this.removeFolder(folder.id)) this.closeDialog();
    };
    const title = folder.id ? w.edit_folder : w.new_folder;
    return this.dialog("folder-dialog", title, () => (this.folder = null), [
      this.nameForm(w.folder_name, folder.id ? w.save : w.create, folder.id, save, true),
      folder.id
        ? h("div", { class: "ws-sidebar-folder-end" }, [
            h("p", w.folder_kept),
            h(
              "button",
              {
                type: "button",
                class: "ws-button ws-sidebar-danger",
                "data-testid": "delete-folder",
                onClick: remove,
              },
              this.isRemovalSure ? w.delete_sure : w.delete,
            ),
          ])
        : null,
    ]);
  },

  /**
   * @param {string} label
   * @param {string} button
   * @param {string} id of the folder
   * @param {(name: string) => void} save
   * @param {boolean} [takesFocus]
   */
  nameForm(label, button, id, save, takesFocus = false) {
    const name = this.draft.replace(/\s+/g, " ").trim();
    const isTaken = this.isNameTaken(name, id);
    const problem = isTaken ? this.words.folder_taken : this.folderProblem;
    /** @param {SubmitEvent} e */
    const submit = (e) => {
      e.preventDefault();
      if (name && !isTaken && !this.isFolderBusy) save(name);
    };
    return h("form", { class: "ws-sidebar-name-form", onSubmit: submit }, [
      h("label", [
        h("span", label),
        h("input", {
          value: this.draft,
          maxlength: 100,
          dir: "auto",
          autocomplete: "off",
          "data-testid": "folder-name",
          autofocus: takesFocus,
          "aria-invalid": problem ? "true" : undefined,
          onInput: (e) => (this.draft = e.target.value),
          onKeydown: (e) => isComposing(e) && e.stopPropagation(),
        }),
      ]),
      h(
        "button",
        { type: "submit", class: "ws-button ws-strong", disabled: !name || isTaken },
        button,
      ),
      h("p", { class: ["ws-sidebar-problem", !problem && "ws-unseen"], role: "status" }, problem),
    ]);
  },

  /**
   * @param {string} name
   * @param {string} id of the folder that may have it
   */
  isNameTaken(name, id) {
    const wanted = name.toLocaleLowerCase();
    return this.folders.some((one) => one.id !== id && one.name.toLocaleLowerCase() === wanted);
  },

  /**
   * Creates or renames a folder; returns null if it can't be.
   * @param {string} id "" for a new one
   * @param {string} name
   * @returns {Promise<Folder | null>}
   */
  async saveFolder(id, name) {
    this.isFolderBusy = true;
    const address = `${this.base}/api/folders${id ? `/${id}` : ""}`;
    const { data, problem } = await ask(address, id ? "PATCH" : "POST", { name });
    this.isFolderBusy = false;
    this.folderProblem = problem ? explain(problem, this.words) : "";
    if (!data) return null;
    const others = this.folders.filter((one) => one.id !== data.id);
    const { lang } = document.documentElement;
    this.folders = [...others, data].sort((a, b) => a.name.localeCompare(b.name, lang));
    return data;
  },

  /** @param {string} id */
  async removeFolder(id) {
    const { problem } = await ask(`${this.base}/api/folders/${id}`, "DELETE");
    this.folderProblem = problem ? explain(problem, this.words) : "";
    if (!problem) this.setFolders(this.folders.filter((one) => one.id !== id));
    return !problem;
  },

  // ---- any dialog ----

  /**
   * @param {string} testid
   * @param {string} title
   * @param {() => void} onClosed
   * @param {(import("vue").VNode | null)[]} body
   */
  dialog(testid, title, onClosed, body) {
    const closed = () => {
      const then = this.afterDialog;
      this.afterDialog = undefined;
      onClosed();
      setTimeout(() => then?.()); // when the focus is back in the page
    };
    return h(
      "dialog",
      {
        key: testid,
        ref: "dialog",
        class: "ws-kit-dialog ws-sidebar-dialog",
        "data-testid": testid,
        "aria-label": title,
        onVnodeMounted: (node) =>
          showDialog(/** @type {HTMLDialogElement} */ (/** @type {HTMLElement} */ (node.el))),
        onClose: closed,
        onClick: (e) => e.target === e.currentTarget && this.closeDialog(),
      },
      [
        h("div", { class: "ws-sidebar-dialog-head" }, [
          h("h2", title),
          h(
            "button",
            {
              type: "button",
              class: "ws-tool",
              "aria-label": this.words.close,
              title: this.words.close,
              onClick: () => this.closeDialog(),
            },
            icon("close"),
          ),
        ]),
        ...body,
      ],
    );
  },

  /** @param {() => void} [then] called when the focus is back in the page */
  closeDialog(then) {
    this.afterDialog = then;
    this.$refs.dialog?.close();
  },
};
