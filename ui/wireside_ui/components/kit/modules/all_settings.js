// @ts-check
// The settings that a user can change, by which the dialog of settings and the command palette find them.

/**
 * The group and the label of each setting, as keys of the texts; its synonyms are in `find_ID`.
 *
 * @type {Record<string, [group: string, label: string]>}
 */
const SETTINGS = {
  theme: ["appearance", "theme"],
  accent: ["appearance", "accent"],
  text_size: ["appearance", "text_size"],
  density: ["appearance", "density"],
  language: ["appearance", "language"],
  enter_sends: ["message_box", "enter_sends"],
  default_preset: ["message_box", "default_preset"],
  read_out: ["announcements", "read_out"],
  notify: ["announcements", "notify"],
  export_all: ["data", "export_all"],
  import: ["data", "import_file"],
  delete_all: ["data", "delete_all"],
  account: ["account_page", "account_page"],
  sessions: ["account_page", "account_sessions"],
  keys: ["account_page", "account_keys"],
  shares: ["account_page", "account_shares"],
};

/**
 * Returns what can be set, in order.
 *
 * @param {string[]} ids of the settings that the user has
 * @param {Words} words
 * @returns {Setting[]}
 */
export function settingsOf(ids, words) {
  return Object.entries(SETTINGS)
    .filter(([id]) => ids.includes(id))
    .map(([id, [group, label]]) => ({
      id,
      group: words[group],
      label: words[label],
      also: `${words[group]} ${words[`find_${id}`]}`,
    }));
}

/** @param {string} text */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();

/**
 * Whether each word of a query is in the label of a setting or in its synonyms, with or without accents.
 *
 * @param {Setting} setting
 * @param {string} query
 */
export function isFound({ label, also }, query) {
  const text = plain(`${label} ${also}`);
  return plain(query)
    .split(/\s+/)
    .every((word) => text.includes(word));
}
