// @ts-check
// The commands of the palette, and its models, presets and prompts.
import { TEMPORARY, chat } from "wireside-kit/chat.js";
import { choice } from "wireside-kit/choice.js";
import { firstLine, saved } from "wireside-kit/saved.js";
import { settingsOf } from "wireside-kit/all_settings.js";

/**
 * @param {string} name
 * @param {unknown} [detail]
 */
const send = (name, detail) => window.dispatchEvent(new CustomEvent(name, { detail }));

/** @param {Theme} theme */
const setTheme = (theme) => {
  window.wiresideTheme?.(theme);
};

/** @satisfies {ThisType<Palette>} */
export const commands = {
  // The id of the conversation in the page's address, "" for none.
  shownId() {
    const path = location.pathname.slice(this.base.length);
    return path.startsWith("/c/") ? path.slice(3) : "";
  },

  /** @returns {PaletteEntry[]} */
  commandEntries() {
    const w = this.words;
    const id = this.shownId();
    /** @type {[label: string, run: () => void, isFor?: boolean][]} */
    const rows = [
      [w.new_chat, () => send("wireside:open", "")],
      [w.temporary_chat, () => send("wireside:open", TEMPORARY), !this.isReader],
      [w.key_search, () => send("wireside:search")],
      [w.new_folder, () => send("wireside:folder"), !this.isReader],
      [w.find, () => send("wireside:find"), Boolean(id)],
      [w.manage_prompts, () => send("wireside:library", { kind: "prompts" })],
      [w.manage_presets, () => send("wireside:library", { kind: "presets" })],
      [
        w.compare,
        () => send("wireside:compare"),
        !this.isReader && choice.offered.filter((one) => one.canChat !== false).length > 1,
      ],
      [w.voice, () => send("wireside:voice"), chat.canSpeak],
      [w.compact, () => send("wireside:compact"), Boolean(id) && !this.isReader],
      [w.export_markdown, () => this.exportShown("markdown"), Boolean(id)],
      [w.export_json, () => this.exportShown("json"), Boolean(id)],
      [w.export_html, () => this.exportShown("html"), Boolean(id)],
      [`${w.theme}: ${w.theme_light}`, () => setTheme("light")],
      [`${w.theme}: ${w.theme_dark}`, () => setTheme("dark")],
      [`${w.theme}: ${w.theme_system}`, () => setTheme("system")],
      [w.sidebar, () => send("wireside:sidebar")],
      [w.shortcuts, () => send("wireside:show", "shortcuts")],
      [w.preferences, () => send("wireside:show", "preferences")],
      ...this.links.map(
        ([label, href]) =>
          /** @type {[string, () => void]} */ ([label, () => location.assign(href)]),
      ),
    ];
    return rows
      .filter(([, , isFor = true]) => isFor)
      .map(([label, run]) => ({ key: `command ${label}`, group: w.commands, label, run }));
  },

  /** @param {string} format */
  exportShown(format) {
    const link = document.createElement("a");
    link.href = `${this.base}/api/conversations/${this.shownId()}/export?format=${format}`;
    link.download = "";
    link.click();
  },

  // Only found by a query: they would make the whole list twice as long.
  /** @returns {PaletteEntry[]} */
  settingEntries() {
    if (!this.query.trim()) return [];
    return settingsOf(this.settings, this.words).map(({ id, group, label, also }) => ({
      key: `setting ${id}`,
      group: this.words.preferences,
      label,
      line: group === label ? "" : group,
      also: `${this.words.preferences} ${also}`,
      run: () => send("wireside:show", `preferences/${id}`),
    }));
  },

  /** @returns {PaletteEntry[]} */
  choiceEntries() {
    const w = this.words;
    if (this.isReader) return [];
    return [
      ...saved.presets.map((preset) => ({
        key: `preset ${preset.id}`,
        group: w.presets,
        label: preset.name,
        line: choice.offered.find((one) => one.id === preset.model)?.name ?? preset.model ?? "",
        run: () => send("wireside:preset", preset),
      })),
      ...saved.prompts.map((prompt) => ({
        key: `prompt ${prompt.id}`,
        group: w.prompts,
        label: prompt.name,
        line: firstLine(prompt.text),
        run: () => send("wireside:prompt", prompt),
      })),
      ...choice.offered
        .filter((model) => model.canChat !== false)
        .map((model) => ({
          key: `model ${model.id}`,
          group: w.models,
          label: model.name,
          run: () => {
            choice.model = model.id;
            send("wireside:model", model.id);
          },
        })),
    ];
  },
};
