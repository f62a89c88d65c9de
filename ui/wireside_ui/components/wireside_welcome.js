// The empty chat. A starter is handed to the composer, which knows how to send.
import { h } from "vue";

export default {
  props: { name: String, tagline: String, logo: String, starters: Array, words: Object },
  data: () => ({ shown: true, problem: "", missing: false }),
  render() {
    if (!this.shown) return h("div", { hidden: true });
    const w = this.words;
    const body = this.missing
      ? [h("p", { class: "ws-welcome-line" }, w.missing), h("a", { class: "ws-button", href: "../" }, w.new_chat)]
      : [
          h("p", { class: "ws-welcome-line" }, this.tagline),
          this.problem
            ? h("div", { class: "ws-problem", role: "status" }, [h("strong", w.no_model), h("p", this.problem)])
            : h(
                "ul",
                { class: "ws-starters", "aria-label": w.starters },
                this.starters.map((text) =>
                  h("li", h("button", { type: "button", onClick: () => this.ask(text) }, text)),
                ),
              ),
        ];
    return h("section", { class: "ws-welcome", "aria-label": this.name }, [
      h("img", { src: this.logo, alt: "", width: 56, height: 56 }),
      h("p", { class: "ws-welcome-name" }, this.name),
      ...body,
    ]);
  },
  methods: {
    setShown(shown) {
      this.shown = shown;
    },
    setProblem(sentence) {
      this.problem = sentence;
    },
    setMissing() {
      this.missing = true;
    },
    ask(text) {
      this.shown = false;
      window.dispatchEvent(new CustomEvent("wireside:ask", { detail: text }));
    },
  },
};
