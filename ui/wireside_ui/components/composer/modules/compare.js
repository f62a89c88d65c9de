// @ts-check
// Several models answer the next question side by side. The picker sends the chosen ones.
import { h } from "vue";
import { choice } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";

/** @satisfies {ThisType<Composer>} */
export const compare = {
  /** @param {CustomEvent<string[]>} e */
  onCompare({ detail }) {
    this.compared = detail;
    this.once = "";
    this.$refs.box.focus();
  },

  compareBar() {
    const w = this.words;
    const names = this.compared.map(
      (id) => choice.offered.find((model) => model.id === id)?.name ?? id,
    );
    return h("div", { class: "ws-composer-editing", "data-testid": "compare" }, [
      h(
        "span",
        { dir: "auto" },
        w.side_by_side.replace("{models}", () => names.join(", ")),
      ),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "aria-label": w.cancel,
          title: w.cancel,
          onClick: () => {
            this.compared = [];
            this.$refs.box.focus();
          },
        },
        icon("close"),
      ),
    ]);
  },
};
