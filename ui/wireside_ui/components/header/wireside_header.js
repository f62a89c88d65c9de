// @ts-check
// The header: the title of the conversation with its menu, the controls that the server adds, and the sheet of keys.
import { h } from "vue";
import { people } from "wireside-header/people.js";
import { sheet } from "wireside-header/sheet.js";
import { chat } from "wireside-kit/chat.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing, isTypedIn } from "wireside-kit/keyboard.js";

export default /** @satisfies {ComponentOptions<Header>} */ ({
  props: {
    base: String,
    words: Object,
    begin: Object,
    sharedWith: Object,
    isReader: Boolean,
    sharing: String,
  },
  emits: ["rename"],
  data() {
    return {
      conversation: this.begin,
      sharedNow: this.sharedWith, // who can see it; null where there are no accounts
      people: null, // the open dialog that says and changes it
      invited: { kind: "user", name: "", access: "read" }, // what its form has
      isRenaming: false,
      draft: "",
      isMenuOpen: false,
    };
  },
  render() {
    const w = this.words;
    return h("header", { class: "ws-header", role: "banner" }, [
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "data-testid": "sidebar-toggle",
          "aria-label": w.sidebar,
          title: w.sidebar,
          onClick: this.toggleSidebar,
        },
        icon("sidebar"),
      ),
      h("h1", { class: "ws-header-title" }, [this.title()]),
      this.peopleButton(),
      this.$slots.default?.(),
      this.conversation && this.sharing && !this.conversation.owner
        ? h(
            "button",
            {
              type: "button",
              class: "ws-tool",
              "data-testid": "share",
              "aria-label": w.share,
              title: w.share,
              onClick: this.share,
            },
            icon("link"),
          )
        : null,
      h(
        "a",
        {
          class: "ws-tool ws-header-new",
          href: this.base + "/",
          "data-testid": "new-chat",
          "aria-label": w.new_chat,
          title: w.new_chat,
          onClick: this.newChat,
        },
        icon("compose"),
      ),
      this.sheet(),
      this.peopleDialog(),
    ]);
  },
  mounted() {
    document.addEventListener("keydown", this.onKey);
    window.addEventListener("wireside:show", this.onShow);
    window.addEventListener("wireside:rename", this.rename);
    window.addEventListener("wireside:menu-closed", this.onMenuClosed);
  },
  unmounted() {
    document.removeEventListener("keydown", this.onKey);
    window.removeEventListener("wireside:show", this.onShow);
    window.removeEventListener("wireside:rename", this.rename);
    window.removeEventListener("wireside:menu-closed", this.onMenuClosed);
  },
  methods: {
    ...people,
    ...sheet,

    // ---- called by the server ----

    /**
     * @param {Item | null} conversation
     * @param {HeaderShared | null} shared
     */
    show(conversation, shared) {
      if (conversation?.id !== this.conversation?.id) {
        this.isRenaming = false;
        this.people = null;
      }
      this.conversation = conversation;
      this.sharedNow = shared;
    },

    // ---- the title ----

    title() {
      const w = this.words;
      if (!this.conversation)
        return h(
          "span",
          { class: "ws-header-fresh" },
          chat.isTemporary ? w.temporary_chat : w.new_chat,
        );
      if (this.isRenaming) return this.renameBox();
      return h(
        "button",
        {
          ref: "title",
          type: "button",
          class: "ws-text-tool ws-header-conversation",
          "data-testid": "conversation-title",
          "aria-haspopup": "menu",
          "aria-expanded": String(this.isMenuOpen),
          title: this.conversation.title || w.untitled,
          onClick: this.openMenu,
        },
        [
          h("span", { dir: "auto" }, this.conversation.title || w.untitled),
          icon("chevron_down", "ws-header-chevron"),
        ],
      );
    },

    renameBox() {
      /** @param {boolean} keeps */
      const leave = (keeps) => {
        const { conversation, isRenaming } = this;
        const title = this.draft.replace(/\s+/g, " ").trim();
        this.isRenaming = false;
        if (!isRenaming || !keeps || !conversation || !title || title === conversation.title)
          return;
        this.conversation = { ...conversation, title };
        this.$emit("rename", { id: conversation.id, title });
      };
      return h("input", {
        class: "ws-header-rename",
        value: this.draft,
        maxlength: 200,
        dir: "auto",
        "aria-label": this.words.rename,
        "data-testid": "rename-title",
        onVnodeMounted: (node) => (node.el.focus(), node.el.select()),
        onInput: (e) => (this.draft = e.target.value),
        onKeydown: (e) => {
          if (isComposing(e) || (e.key !== "Enter" && e.key !== "Escape")) return;
          e.preventDefault(); // Escape does not stop an answer
          leave(e.key === "Enter");
          this.$nextTick(() => this.$refs.title?.focus());
        },
        onBlur: () => leave(true),
      });
    },

    rename() {
      if (!this.conversation) return;
      this.draft = this.conversation.title;
      this.isRenaming = true;
    },

    // The list of conversations has the actions on them, and opens its menu here.
    openMenu() {
      this.isMenuOpen = !this.isMenuOpen;
      window.dispatchEvent(
        new CustomEvent("wireside:menu", {
          detail: { item: this.conversation, button: this.$refs.title },
        }),
      );
    },

    onMenuClosed() {
      this.isMenuOpen = false;
    },

    share() {
      window.dispatchEvent(new CustomEvent("wireside:share", { detail: this.conversation }));
    },

    /**
     * Changes the conversation without leaving the page; the browser handles clicks that open a new tab.
     * @param {MouseEvent} e
     */
    newChat(e) {
      if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
      e.preventDefault();
      window.dispatchEvent(new CustomEvent("wireside:open", { detail: "" }));
    },

    toggleSidebar() {
      window.dispatchEvent(new CustomEvent("wireside:sidebar"));
    },

    /** @param {CustomEvent<string>} e */
    onShow(e) {
      if (e.detail === "shortcuts") this.openSheet();
    },

    /** @param {KeyboardEvent} e */
    onKey(e) {
      if (e.defaultPrevented || isComposing(e) || document.querySelector("dialog[open]")) return;
      if (e.key === "?" && !isTypedIn(e.target)) {
        e.preventDefault();
        this.openSheet();
      } else if ((e.ctrlKey || e.metaKey) && e.shiftKey && e.key.toLowerCase() === "o") {
        e.preventDefault();
        window.dispatchEvent(new CustomEvent("wireside:open", { detail: "" }));
      }
    },
  },
});
