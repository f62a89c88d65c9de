// @ts-check
// The choices of theme and language, which the menu and the dialog of settings share.
import { h } from "vue";
import { chooseLanguage, chosenLanguage } from "./language.js";

/** @type {Theme[]} */
const THEMES = ["system", "light", "dark"];

/**
 * Returns the choice between the themes.
 *
 * @param {Words} words
 * @param {string} place where the choice is, for the name of its fields
 */
export function themeChoice(words, place) {
  const theme = window.wiresideTheme?.() ?? "system";
  return h(
    "fieldset",
    { class: "ws-kit-segments", role: "radiogroup", "data-testid": "theme-toggle" },
    [
      h("legend", words.theme),
      ...THEMES.map((name) =>
        h("label", [
          h("input", {
            type: "radio",
            name: `theme-${place}`,
            value: name,
            checked: name === theme,
            onChange: () => window.wiresideTheme?.(name),
          }),
          h("span", words[`theme_${name}`]),
        ]),
      ),
    ],
  );
}

/**
 * Returns the choice between the languages.
 *
 * @param {Words} words
 * @param {[code: string, name: string][]} languages
 * @param {string} base
 */
export function languageChoice(words, languages, base) {
  const chosen = chosenLanguage();
  /** @param {[code: string, name: string]} language */
  const option = ([code, name]) =>
    h("option", { value: code, lang: code || undefined, selected: code === chosen }, name);
  return h("label", { class: "ws-kit-row" }, [
    h("span", words.language),
    h(
      "select",
      {
        "data-testid": "language",
        onChange: (e) => chooseLanguage(e.target.value, base),
      },
      [option(["", words.language_browser]), ...languages.map(option)],
    ),
  ]);
}
