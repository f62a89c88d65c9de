// @ts-check
// The conversations of the palette: the latest ones, or those that a search finds.
import { ask } from "wireside-kit/saved.js";

const SEARCH_MS = 150;
const MAX_SHOWN = 8;

/** @satisfies {ThisType<Palette>} */
export const found = {
  lookForConversations() {
    clearTimeout(this.searching);
    this.searching = setTimeout(this.readConversations, this.query.trim() ? SEARCH_MS : 0);
  },

  async readConversations() {
    const wanted = this.query.trim();
    const { data } = wanted
      ? await ask(
          `${this.base}/api/conversations/search?limit=30&q=${encodeURIComponent(wanted.slice(0, 200))}`,
        )
      : await ask(`${this.base}/api/conversations?limit=${MAX_SHOWN}`);
    if (wanted !== this.query.trim() || !data) return;
    /** @type {Map<string, PaletteConversation>} */
    const byId = new Map();
    for (const hit of data.hits ?? [])
      if (!byId.has(hit.conversation)) {
        const line = hit.turn ? hit.snippet.join("") : "";
        byId.set(hit.conversation, {
          id: hit.conversation,
          title: hit.title,
          turn: hit.turn,
          line,
        });
      }
    for (const one of data.conversations ?? [])
      byId.set(one.id, { id: one.id, title: one.title, turn: null, line: "" });
    const marked = this.at > 0 && this.markedEntry();
    this.conversations = [...byId.values()].slice(0, MAX_SHOWN);
    this.conversationsOf = wanted;
    if (marked) this.mark(marked.key);
    const first = this.markedEntry();
    if (this.isEntered && first) this.close(first.run);
    this.isEntered = false;
  },

  /**
   * None while they are looked for: those of another query must not be opened.
   * @returns {PaletteEntry[]}
   */
  conversationEntries() {
    if (this.conversationsOf !== this.query.trim()) return [];
    return this.conversations.map(({ id, title, turn, line }) => ({
      key: `conversation ${id}`,
      group: this.words.conversations,
      label: title || this.words.untitled,
      line,
      run: () =>
        window.dispatchEvent(
          new CustomEvent("wireside:open", { detail: turn ? `${id}?turn=${turn}` : id }),
        ),
    }));
  },
};
