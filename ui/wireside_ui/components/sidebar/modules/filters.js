// @ts-check
// The filters of the search: what, when, by which model, in which folder and with which tag.
import { h } from "vue";
import { choice } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";

/** The values of the fields; "" is no filter. */
export const NO_FILTERS = { kind: "", folder_id: "", tag: "", model: "", since: "", until: "" };

/**
 * Returns the beginning of a day by the browser's clock, in seconds.
 * @param {string} day such as 2026-11-30, "" for none
 * @param {number} days after it
 */
function dayBegin(day, days = 0) {
  const date = new Date(`${day}T00:00`);
  if (!day || Number.isNaN(date.getTime())) return null;
  return date.setDate(date.getDate() + days) / 1000;
}

/** @satisfies {ThisType<Sidebar>} */
export const filters = {
  /**
   * What is searched for, as the server takes it.
   * @returns {SearchRequest}
   */
  request() {
    const { kind, folder_id, tag, model, since, until } = this.filters;
    return {
      query: this.query.trim(),
      filters: {
        kind: kind || null,
        model: model || null,
        folder_id: folder_id || null,
        tag: tag || null,
        since: dayBegin(since),
        until: dayBegin(until, 1),
      },
    };
  },

  filterButton() {
    const w = this.words;
    const count = this.filterCount;
    const label = count ? `${w.filters} (${count})` : w.filters;
    return h(
      "button",
      {
        type: "button",
        class: ["ws-sidebar-filter", count && "ws-sidebar-filter-on"],
        "data-testid": "filters",
        "aria-label": label,
        "aria-expanded": String(this.areFiltersOpen),
        title: label,
        onClick: this.toggleFilters,
      },
      icon("filter"),
    );
  },

  toggleFilters() {
    this.areFiltersOpen = !this.areFiltersOpen;
    if (this.areFiltersOpen) this.readTags();
  },

  filterPanel() {
    const w = this.words;
    if (!this.areFiltersOpen) return null;
    /**
     * @param {keyof typeof NO_FILTERS} name
     * @param {string} label
     * @param {[value: string, text: string][]} options
     */
    const select = (name, label, options) =>
      h("label", { class: "ws-sidebar-filter-field" }, [
        h("span", label),
        h(
          "select",
          {
            value: this.filters[name],
            "data-testid": `filter-${name}`,
            onChange: (e) => this.setFilter(name, e.target.value),
          },
          options.map(([value, text]) =>
            h("option", { value, selected: value === this.filters[name] }, text),
          ),
        ),
      ]);
    /**
     * @param {"since" | "until"} name
     * @param {string} label
     */
    const day = (name, label) =>
      h("label", { class: "ws-sidebar-filter-field" }, [
        h("span", label),
        h("input", {
          type: "date",
          value: this.filters[name],
          "data-testid": `filter-${name}`,
          onChange: (e) => this.setFilter(name, e.target.value),
        }),
      ]);
    const { tag } = this.filters;
    const names = [...new Set([...this.allTags, ...(tag ? [tag] : [])])];
    const models = choice.offered.filter((model) => model.canChat !== false);
    return h(
      "div",
      {
        class: "ws-sidebar-filters",
        role: "group",
        "aria-label": w.filters,
        "data-testid": "filter-panel",
      },
      [
        select("kind", w.filter_in, [
          ["", w.filter_all],
          ["title", w.in_title],
          ["question", w.in_question],
          ["answer", w.in_answer],
        ]),
        this.folders.length
          ? select("folder_id", w.folder, [
              ["", w.filter_all],
              .../** @type {[string, string][]} */ (this.folders.map(({ id, name }) => [id, name])),
            ])
          : null,
        names.length
          ? select("tag", w.tag, [
              ["", w.filter_all],
              .../** @type {[string, string][]} */ (names.map((name) => [name, name])),
            ])
          : null,
        models.length
          ? select("model", w.model, [
              ["", w.filter_all],
              .../** @type {[string, string][]} */ (models.map(({ id, name }) => [id, name])),
            ])
          : null,
        day("since", w.filter_since),
        day("until", w.filter_until),
        this.filterCount
          ? h(
              "button",
              {
                type: "button",
                class: "ws-sidebar-filters-end",
                "data-testid": "clear-filters",
                onClick: this.clearFilters,
              },
              w.clear_filters,
            )
          : null,
      ],
    );
  },

  /**
   * @param {keyof typeof NO_FILTERS} name
   * @param {string} value
   */
  setFilter(name, value) {
    this.changeSearch(() => (this.filters = { ...this.filters, [name]: value }));
  },

  clearFilters() {
    this.changeSearch(() => (this.filters = { ...NO_FILTERS }));
    this.$refs.search.focus();
  },

  /**
   * Shows the conversations with a tag.
   * @param {string} tag
   */
  filterByTag(tag) {
    this.areFiltersOpen = true;
    this.readTags();
    this.setFilter("tag", tag);
  },
};
