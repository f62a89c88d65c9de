// @ts-check
// The banners of administrators. A changed banner has another key, so that it is shown again.
import { h } from "vue";
import { icon } from "wireside-kit/icons.js";
import { memory } from "wireside-kit/storage.js";

const MAX_DISMISSED = 50;

export default /** @satisfies {ComponentOptions<Banners>} */ ({
  props: { begin: Array, words: Object },
  data() {
    return { banners: this.begin, dismissed: /** @type {string[]} */ ([]) };
  },
  computed: {
    shown() {
      return this.banners.filter((one) => !one.isDismissible || !this.dismissed.includes(one.key));
    },
  },
  render() {
    const w = this.words;
    return h(
      "section",
      { class: "ws-banners", "aria-label": w.banners, "aria-live": "polite" },
      this.shown.map((one) =>
        h(
          "div",
          {
            key: one.key,
            class: ["ws-banners-one", `ws-banners-${one.severity}`],
            "data-testid": "banner",
          },
          [
            h("p", [
              h("strong", `${w[`severity_${one.severity}`]}: `),
              h("span", { dir: "auto" }, one.text),
            ]),
            one.isDismissible
              ? h(
                  "button",
                  {
                    type: "button",
                    class: "ws-tool",
                    "aria-label": w.banner_dismiss,
                    title: w.banner_dismiss,
                    onClick: () => this.dismiss(one.key),
                  },
                  icon("close"),
                )
              : null,
          ],
        ),
      ),
    );
  },
  created() {
    const stored = memory.read("banners", /** @type {unknown} */ ([]));
    this.dismissed = Array.isArray(stored) ? stored.map(String) : [];
  },
  methods: {
    // ---- called by the server ----

    /** @param {Banner[]} banners */
    show(banners) {
      this.banners = banners;
    },

    /** @param {string} key */
    dismiss(key) {
      this.dismissed = [...this.dismissed, key].slice(-MAX_DISMISSED);
      memory.writeText("banners", JSON.stringify(this.dismissed));
    },
  },
});
