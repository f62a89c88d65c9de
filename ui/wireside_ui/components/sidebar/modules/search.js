// @ts-check
// The search box and its results.
import { h, markRaw } from "vue";
import { icon } from "wireside-kit/icons.js";
import { isComposing } from "wireside-kit/keyboard.js";

const SEARCH_MS = 150;

/**
 * Formats the day of a hit: the time if it is today's.
 * @param {number} seconds
 */
function dayOf(seconds) {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  const { lang } = document.documentElement;
  return date.toLocaleString(lang, isToday ? { timeStyle: "short" } : { dateStyle: "medium" });
}

/** @satisfies {ThisType<Sidebar>} */
export const search = {
  top() {
    const w = this.words;
    return h("div", { class: "ws-sidebar-top" }, [
      this.name
        ? h(
            "a",
            {
              class: "ws-sidebar-brand",
              href: this.base + "/",
              onClick: (e) => this.open(e, ""),
            },
            [h("img", { src: this.logo, alt: "", width: 24, height: 24 }), h("span", this.name)],
          )
        : null,
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
        this.filterButton(),
      ]),
      this.filterPanel(),
    ]);
  },

  /** @param {string} query */
  setQuery(query, focuses = false) {
    this.changeSearch(() => (this.query = query));
    if (focuses) this.$refs.search.focus();
  },

  /**
   * Searches again after a change of the words or the filters; without both, the list comes back.
   * @param {() => void} change
   */
  changeSearch(change) {
    if (!this.isSearching) this.listTop = this.$refs.list.scrollTop;
    change();
    this.problem = "";
    this.menu = "";
    clearTimeout(this.searching);
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
    this.$emit("search", { ...this.request(), cursor: null });
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
    } else if (e.key === "Enter" && this.isShown(this.hitsOf)) {
      e.preventDefault();
      this.links()[0]?.click();
    }
  },

  /**
   * @param {SearchRequest} request
   * @param {Hit[]} hits
   * @param {boolean} fresh
   */
  showHits(request, hits, fresh) {
    if (!this.isShown(request)) return;
    this.hits = markRaw(fresh ? hits : [...(this.hits || []), ...hits]);
    this.hitsOf = request;
    this.hasMoreHits = hits.length > 0;
    this.isSearchLoading = false;
    this.problem = "";
    this.$nextTick(this.settle);
  },

  /**
   * Whether a search is the one that the fields show.
   * @param {SearchRequest} request
   */
  isShown(request) {
    const shown = this.request();
    const names = /** @type {(keyof typeof shown.filters)[]} */ (Object.keys(shown.filters));
    return (
      request.query === shown.query &&
      names.every((name) => (request.filters[name] ?? null) === shown.filters[name])
    );
  },

  results() {
    const w = this.words;
    if (!this.hits) return null;
    if (!this.hits.length)
      return h(
        "p",
        { class: "ws-sidebar-note ws-sidebar-empty", role: "status", dir: "auto" },
        this.hitsOf.query
          ? w.nothing_found.replace("{query}", () => this.hitsOf.query)
          : w.no_match,
      );
    /** @type {Map<string, Hit[]>} */
    const groups = new Map();
    for (const hit of this.hits) groups.set(hit.id, [...(groups.get(hit.id) ?? []), hit]);
    return h(
      "ul",
      { class: "ws-sidebar-hits", "aria-label": w.search },
      [...groups].map(([id, hits]) =>
        h("li", { key: id, class: "ws-sidebar-hit-group" }, [
          this.hitHeading(hits[0]),
          h(
            "ul",
            hits.map((hit) => this.hit(hit)),
          ),
        ]),
      ),
    );
  },

  /**
   * The title of a conversation with hits, and the date of the newest one.
   * @param {Hit} hit
   */
  hitHeading(hit) {
    const w = this.words;
    return h("div", { class: "ws-sidebar-hit-heading" }, [
      h("span", { class: "ws-sidebar-hit-title", dir: "auto" }, hit.title || w.untitled),
      h("span", { class: "ws-sidebar-hit-date" }, [
        hit.owner
          ? [h("bdi", { title: w.shared_by.replace("{name}", () => hit.owner) }, hit.owner), " · "]
          : "",
        hit.archived ? `${w.show_archived} · ` : "",
        dayOf(hit.at),
      ]),
    ]);
  },

  /** @param {Hit} hit */
  hit(hit) {
    const w = this.words;
    const detail = hit.turn ? `${hit.id}?turn=${hit.turn}` : hit.id;
    /** @param {MouseEvent} e */
    const open = (e) => {
      // the words that matched stay marked in the conversation
      if (hit.turn)
        window.dispatchEvent(new CustomEvent("wireside:found", { detail: hit.snippet[1] ?? "" }));
      this.open(e, detail);
    };
    return h("li", { key: hit.cursor, class: "ws-sidebar-hit-row" }, [
      h(
        "a",
        {
          class: "ws-sidebar-item-link ws-sidebar-hit",
          href: `${this.base}/c/${detail}`,
          "data-id": hit.id,
          "data-testid": "search-hit",
          onClick: open,
        },
        [
          h(
            "span",
            { class: "ws-sidebar-hit-text", dir: "auto" },
            hit.snippet.map((piece, n) => (n % 2 ? h("mark", piece) : piece)),
          ),
          h("span", { class: "ws-sidebar-hit-kind" }, w["in_" + hit.kind]),
        ],
      ),
    ]);
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
