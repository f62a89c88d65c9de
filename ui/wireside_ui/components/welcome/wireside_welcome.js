// @ts-check
// The empty chat. Passes a starter to the composer, which sends it.
import { h } from "vue";
import { currentModel } from "wireside-kit/choice.js";

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
    return h("section", { class: "ws-welcome", "aria-label": this.name, "data-view": this.shown }, [
      h("div", { class: "ws-welcome-inner" }, [
        h("img", { src: this.logo, alt: "", width: 56, height: 56 }),
        h("p", { class: "ws-welcome-name" }, isMissing ? w.missing_title : this.name),
        this.greeting && !isMissing
          ? h("div", { class: "ws-welcome-text", innerHTML: this.greeting })
          : h("p", { class: "ws-welcome-line" }, isMissing ? w.missing : this.tagline),
        isMissing
          ? h(
              "button",
              { type: "button", class: "ws-button ws-strong", onClick: this.newChat },
              w.new_chat,
            )
          : this.problem
            ? this.notice()
            : this.choices(),
      ]),
    ]);
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
      if (welcome) this.greeting = welcome;
      if (starters.length) this.forUser = starters;
    },
    /** @param {string} sentence */
    setProblem(sentence) {
      this.problem = sentence;
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
      window.dispatchEvent(new CustomEvent("wireside:open", { detail: "" }));
    },
    /** @param {string} text */
    ask(text) {
      window.dispatchEvent(new CustomEvent("wireside:ask", { detail: text }));
    },
  },
});
