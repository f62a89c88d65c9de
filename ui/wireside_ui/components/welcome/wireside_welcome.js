// @ts-check
// The empty chat. Passes a starter to the composer, which sends it.
import { h } from "vue";
import { TEMPORARY, chat } from "wireside-kit/chat.js";
import { currentModel } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";

export default /** @satisfies {ComponentOptions<Welcome>} */ ({
  props: {
    name: String,
    tagline: String,
    logo: String,
    starters: Array,
    welcome: String, // sanitised HTML
    userStarters: Array,
    words: Object,
    view: String,
    isReader: Boolean,
  },
  data() {
    return {
      shown: this.view,
      problem: "",
      greeting: this.welcome,
      forUser: this.userStarters,
    };
  },
  computed: {
    isTemporary: () => chat.isTemporary,
    // Those for this user, those of the chosen model, which the picker changes, or those of the chat.
    offered() {
      if (this.forUser.length) return this.forUser;
      const own = this.starters.length ? currentModel()?.starters : [];
      return own?.length ? own : this.starters;
    },
  },
  render() {
    if (this.shown === "hidden") return h("div", { hidden: true });
    const w = this.words;
    const isMissing = this.shown === "missing";
    return h(
      "section",
      {
        class: "ws-welcome",
        "aria-label": this.name,
        "data-view": this.shown,
        inert: chat.isCovered,
      },
      [
        h("div", { class: "ws-welcome-inner" }, [
          h("img", { src: this.logo, alt: "", width: 56, height: 56 }),
          h("p", { class: "ws-welcome-name" }, isMissing ? w.missing_title : this.title()),
          this.greeting && !isMissing && !this.isTemporary
            ? h("div", { class: "ws-welcome-text", innerHTML: this.greeting })
            : h("p", { class: "ws-welcome-line" }, isMissing ? w.missing : this.line()),
          isMissing
            ? h(
                "button",
                { type: "button", class: "ws-button ws-strong", onClick: this.newChat },
                w.new_chat,
              )
            : this.problem
              ? this.notice()
              : this.choices(),
          isMissing || this.problem || this.isReader ? null : this.temporarySwitch(),
        ]),
      ],
    );
  },
  methods: {
    // ---- called by the server ------------------------------------------------------------------
    /** @param {string} view */
    setView(view) {
      this.shown = view;
    },
    /**
     * @param {string} welcome
     * @param {string[]} starters
     */
    setStart(welcome, starters) {
      this.greeting = welcome;
      this.forUser = starters;
    },
    /** @param {string} sentence */
    setProblem(sentence) {
      this.problem = sentence;
    },

    title() {
      return this.isTemporary ? this.words.temporary_chat : this.name;
    },
    line() {
      return this.isTemporary ? this.words.temporary_line : this.tagline;
    },
    temporarySwitch() {
      return h(
        "button",
        {
          type: "button",
          class: "ws-text-tool ws-welcome-temporary",
          "data-testid": "temporary-switch",
          "aria-pressed": String(this.isTemporary),
          onClick: () => this.open(this.isTemporary ? "" : TEMPORARY),
        },
        [icon(this.isTemporary ? "check" : "temporary"), h("span", this.words.temporary_chat)],
      );
    },
    notice() {
      return h("div", { class: "ws-welcome-problem", role: "status" }, [
        h("strong", this.words.no_model),
        h("p", this.problem),
      ]);
    },
    choices() {
      /** @param {string} text */
      const choice = (text) =>
        h("li", h("button", { type: "button", onClick: () => this.ask(text) }, text));
      return h(
        "ul",
        { class: "ws-welcome-starters", "aria-label": this.words.starters },
        this.offered.map(choice),
      );
    },
    newChat() {
      this.open("");
    },
    /** @param {string} detail */
    open(detail) {
      window.dispatchEvent(new CustomEvent("wireside:open", { detail }));
    },
    /** @param {string} text */
    ask(text) {
      window.dispatchEvent(new CustomEvent("wireside:ask", { detail: text }));
    },
  },
});
