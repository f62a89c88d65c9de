// @ts-check
// Folders above the list: a folder is opened in place of the list, and takes conversations that are dropped on it.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";

const DRAGGED = "application/x-wireside-conversations";

/** @satisfies {ThisType<Sidebar>} */
export const folders = {
  /**
   * Returns the folder of a conversation; null if it is in none, or in one that was deleted.
   * @param {Item} item
   */
  folderOf(item) {
    return this.folders.find((folder) => folder.id === item.folder) ?? null;
  },

  /**
   * Whether the list shows a conversation.
   * @param {Item} item
   */
  belongs(item) {
    const { kind, of } = this.scope;
    if (kind === "shared" || item.owner) return kind === "shared" && Boolean(item.owner);
    if (kind === "archive" || item.archived) return kind === "archive" && item.archived;
    if (kind === "folder") return item.folder === of;
    return Boolean(item.pin) || !this.folderOf(item);
  },

  /** @param {Folder[]} folders */
  setFolders(folders) {
    const gone = this.folders.filter(({ id }) => !folders.some((folder) => folder.id === id));
    this.folders = folders;
    if (this.scope.kind === "folder" && gone.some(({ id }) => id === this.scope.of))
      this.showScope("list");
    else if (this.scope.kind === "list" && gone.length) this.readAgain(); // their conversations come back
  },

  // The title of a list that is not the main one, with the way back.
  scopeHeading() {
    const w = this.words;
    if (this.scope.kind === "list") return null;
    const folder = this.folders.find(({ id }) => id === this.scope.of);
    return h(
      "div",
      {
        class: ["ws-sidebar-title", folder && this.dropInto === "" && "ws-sidebar-folder-dropping"],
        ...(folder ? this.takesDrops("") : {}),
      },
      [
        h(
          "button",
          {
            type: "button",
            class: "ws-tool",
            "data-testid": folder ? "leave-folder" : `leave-${this.scope.kind}`,
            "aria-label": w.back_to_list,
            title: w.back_to_list,
            onClick: () => this.showScope("list"),
          },
          icon("back", "ws-sidebar-back"),
        ),
        folder ? icon("folder") : null,
        h(
          "p",
          { dir: folder ? "auto" : undefined },
          folder ? folder.name : this.archived ? w.show_archived : w.shared_with_me,
        ),
        folder && !this.isReader ? this.editButton(folder, 0) : null,
      ],
    );
  },

  /** @param {boolean} hasShared */
  setShared(hasShared) {
    this.hasShared = hasShared;
    if (this.scope.kind === "shared") this.need(null);
  },

  // The way to the conversations that others share with the user, if there are any.
  sharedLink() {
    if (!this.hasShared) return null;
    return h("div", { class: "ws-sidebar-folders" }, [
      h("div", { class: "ws-sidebar-folder" }, [
        h(
          "button",
          {
            type: "button",
            class: "ws-sidebar-folder-link",
            "data-testid": "shared-with-me",
            onClick: () => this.showScope("shared"),
          },
          [icon("people"), h("span", this.words.shared_with_me)],
        ),
      ]),
    ]);
  },

  folderSection() {
    const w = this.words;
    if (!this.folders.length) return null;
    const stop = this.folders.some(({ id }) => id === this.folderStop)
      ? this.folderStop
      : this.folders[0].id;
    return h("section", { class: "ws-sidebar-folders", "aria-label": w.folders }, [
      h("div", { class: "ws-sidebar-folders-heading" }, [
        h("h2", w.folders),
        this.isReader
          ? null
          : h(
              "button",
              {
                type: "button",
                class: "ws-sidebar-folder-new",
                "data-testid": "new-folder",
                "aria-label": w.new_folder,
                title: w.new_folder,
                onClick: this.newFolder,
              },
              icon("plus"),
            ),
      ]),
      h(
        "ul",
        { ref: "folders", class: "ws-sidebar-folder-list", onKeydown: this.onFolderKey },
        this.folders.map((folder) => this.folderRow(folder, folder.id === stop ? 0 : -1)),
      ),
    ]);
  },

  /**
   * @param {Folder} folder
   * @param {number} tabindex
   */
  folderRow(folder, tabindex) {
    return h(
      "li",
      {
        key: folder.id,
        class: ["ws-sidebar-folder", this.dropInto === folder.id && "ws-sidebar-folder-dropping"],
        ...this.takesDrops(folder.id),
      },
      [
        h(
          "button",
          {
            type: "button",
            class: "ws-sidebar-folder-link",
            "data-testid": "folder",
            "data-id": folder.id,
            tabindex,
            title: folder.name,
            onClick: () => this.showScope("folder", folder.id),
            onFocus: () => (this.folderStop = folder.id),
          },
          [icon("folder"), h("span", { dir: "auto" }, folder.name)],
        ),
        this.isReader ? null : this.editButton(folder, tabindex),
      ],
    );
  },

  /**
   * @param {Folder} folder
   * @param {number} tabindex
   */
  editButton(folder, tabindex) {
    const label = `${this.words.edit_folder}: ${folder.name}`;
    return h(
      "button",
      {
        type: "button",
        class: "ws-sidebar-folder-more",
        "data-testid": "edit-folder",
        tabindex,
        "aria-label": label,
        title: label,
        onClick: () => this.editFolder(folder),
      },
      icon("dots"),
    );
  },

  /** @param {KeyboardEvent & { target: HTMLElement }} e */
  onFolderKey(e) {
    if (!e.target.matches(".ws-sidebar-folder-link") || e.ctrlKey || e.metaKey || e.altKey) return;
    const links = [...this.$refs.folders.querySelectorAll(".ws-sidebar-folder-link")];
    const at = links.findIndex((link) => link === e.target);
    const folder = this.folders[at];
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[e.key];
    if (to === -1) this.$refs.search.focus();
    else if (to === links.length) this.goTo(0);
    else if (to !== undefined) links[to].focus();
    else if ((e.key === "F2" || e.key === "Delete") && !this.isReader) this.editFolder(folder);
    else return;
    e.preventDefault();
  },

  // ---- drag and drop ----

  /**
   * Drags a conversation, with the selected ones if it is one of them.
   * @param {DragEvent} e
   * @param {Item} item
   */
  beginDrag(e, item) {
    if (!e.dataTransfer || this.isReader || item.owner) return;
    const ids = this.selected.has(item.id) ? [...this.selected] : [item.id];
    e.dataTransfer.setData(DRAGGED, JSON.stringify(ids));
    e.dataTransfer.effectAllowed = "copyMove"; // the link may be copied elsewhere
  },

  /**
   * Returns the listeners of what takes conversations.
   * @param {string} id of the folder, "" for none
   */
  takesDrops(id) {
    /** @param {DragEvent} e */
    const isOurs = (e) => !this.isReader && e.dataTransfer?.types.includes(DRAGGED);
    return {
      onDragover: (/** @type {DragEvent} */ e) => {
        if (!isOurs(e)) return;
        e.preventDefault();
        if (e.dataTransfer) e.dataTransfer.dropEffect = "move";
        this.dropInto = id;
      },
      onDragleave: (
        /** @type {DragEvent & { currentTarget: Node; relatedTarget: Node | null }} */ e,
      ) => {
        if (this.dropInto === id && !e.currentTarget.contains(e.relatedTarget))
          this.dropInto = null;
      },
      onDrop: (/** @type {DragEvent} */ e) => {
        if (!isOurs(e)) return;
        e.preventDefault();
        this.dropInto = null;
        this.move(JSON.parse(e.dataTransfer?.getData(DRAGGED) || "[]"), id || null);
      },
    };
  },

  /**
   * @param {string[]} ids
   * @param {string | null} folder null: out of their folders
   */
  move(ids, folder) {
    const items = ids.flatMap((id) => this.items.get(id) ?? []);
    this.withFocus(ids, () => {
      for (const item of items) this.put({ ...item, folder });
    });
    this.$emit("move", { ids, folder });
    this.endSelection();
    const name = this.folders.find(({ id }) => id === folder)?.name;
    const { moved, moved_out } = this.words;
    this.say(folder && name !== undefined ? moved.replace("{folder}", () => name) : moved_out);
  },
};
