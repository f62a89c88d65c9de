// @ts-check
// The search box and its results.
import { h, markRaw } from "vue";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";

const SEARCH_MS = 150;

/** @satisfies {ThisType<Sidebar>} */
export const search = {
  top() {
    const w = this.words;
    return h("div", { class: "ws-sidebar-top" }, [
      h(
        "a",
        {
          ref: "fresh",
          class: "ws-sidebar-new",
          href: this.base + "/",
          "data-testid": "sidebar-new",
          onClick: (e) => this.open(e, ""),
        },
        [icon("compose"), h("span", w.new_chat)],
      ),
      h("div", { class: "ws-sidebar-search", role: "search" }, [
        icon("search"),
        h("input", {
          ref: "search",
          type: "search",
          value: this.query,
          placeholder: w.search,
          "aria-label": w.key_search,
          maxlength: 200,
          dir: this.query ? "auto" : undefined,
          autocomplete: "off",
          "data-testid": "search",
          onInput: (e) => this.setQuery(e.target.value),
          onKeydown: this.onSearchKey,
        }),
        this.query
          ? h(
              "button",
              {
                type: "button",
                class: "ws-sidebar-clear",
                "aria-label": w.clear,
                title: w.clear,
                onClick: () => this.setQuery("", true),
              },
              icon("close"),
            )
          : null,
      ]),
    ]);
  },

  /** @param {string} query */
  setQuery(query, focuses = false) {
    if (!this.isSearching) this.listTop = this.$refs.list.scrollTop;
    this.query = query;
    this.problem = "";
    this.menu = "";
    clearTimeout(this.searching);
    if (focuses) this.$refs.search.focus();
    if (!this.isSearching) {
      this.hits = null;
      this.isSearchLoading = false;
      this.$nextTick(() => this.$refs.list.scrollTo(0, this.listTop));
      return;
    }
    this.endSelection();
    this.isSearchLoading = true;
    this.searching = setTimeout(this.search, SEARCH_MS);
  },

  search() {
    this.$refs.list.scrollTo(0, 0);
    this.$emit("search", { query: this.query.trim(), cursor: null });
  },

  /** @param {KeyboardEvent} e */
  onSearchKey(e) {
    if (isComposing(e)) return;
    if (e.key === "Escape" && this.query) {
      e.preventDefault();
      this.setQuery("");
    } else if (e.key === "ArrowDown") {
      e.preventDefault();
      if (this.isSearching) this.links()[0]?.focus();
      else this.goTo(0);
    } else if (e.key === "Enter" && this.hitsOf === this.query.trim()) {
      e.preventDefault();
      this.links()[0]?.click();
    }
  },

  /**
   * @param {string} query
   * @param {Hit[]} hits
   * @param {boolean} fresh
   */
  showHits(query, hits, fresh) {
    if (query !== this.query.trim()) return;
    this.hits = markRaw(fresh ? hits : [...(this.hits || []), ...hits]);
    this.hitsOf = query;
    this.hasMoreHits = hits.length > 0;
    this.isSearchLoading = false;
    this.problem = "";
    this.$nextTick(this.settle);
  },

  results() {
    const w = this.words;
    if (!this.hits) return null;
    if (!this.hits.length)
      return h(
        "p",
        { class: "ws-sidebar-note ws-sidebar-empty", role: "status", dir: "auto" },
        w.nothing_found.replace("{query}", () => this.hitsOf),
      );
    return h(
      "ul",
      { class: "ws-sidebar-hits", "aria-label": w.search },
      this.hits.map((hit) => {
        const detail = hit.turn ? `${hit.id}?turn=${hit.turn}` : hit.id;
        return h("li", { key: hit.cursor, class: "ws-sidebar-hit-row" }, [
          h(
            "a",
            {
              class: "ws-sidebar-item-link ws-sidebar-hit",
              href: `${this.base}/c/${detail}`,
              "data-id": hit.id,
              "data-testid": "search-hit",
              onClick: (e) => this.open(e, detail),
            },
            [
              h("span", { class: "ws-sidebar-hit-title", dir: "auto" }, hit.title || w.untitled),
              h(
                "span",
                { class: "ws-sidebar-hit-text", dir: "auto" },
                hit.snippet.map((piece, n) => (n % 2 ? h("mark", piece) : piece)),
              ),
              h("span", { class: "ws-sidebar-hit-kind" }, w["in_" + hit.kind]),
            ],
          ),
        ]);
      }),
    );
  },

  /** @param {KeyboardEvent} e */
  onHitKey(e) {
    const links = this.links();
    const at = links.findIndex((link) => link === e.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (to === -1) this.$refs.search.focus();
    else links[to]?.focus();
  },
};
