// @ts-check
// Which conversation the box belongs to, and the address of the page.
import * as drafts from "wireside-kit/drafts.js";

/** @satisfies {ThisType<Composer>} */
export const addresses = {
  /** @param {string} id */
  address(id) {
    return id ? `${this.base}/c/${id}` : `${this.base}/`;
  },

  /**
   * The event's detail is a conversation, "" for a new one, or "ID?turn=TURN".
   * @param {{ detail: string }} e
   */
  onOpen(e) {
    if (!this.isConnected) return; // the hint under the box shows the reason
    const [id, query] = e.detail.split("?");
    const turn = new URLSearchParams(query).get("turn");
    const address = this.address(id) + (turn ? `?turn=${turn}` : "");
    const isOther = location.pathname + location.search !== address;
    // Replaces the history entry of a deleted conversation, and the one that the drawer added.
    if (isOther && (this.replaces || history.state?.drawer))
      history.replaceState(null, "", address);
    else if (isOther) history.pushState(null, "", address);
    else if (history.state?.drawer) history.back();
    this.replaces = false;
    this.show(id, turn);
    if (!turn && matchMedia("(hover: hover)").matches)
      this.$refs.box.focus({ preventScroll: true });
  },

  onHistory() {
    const path = location.pathname.slice(this.base.length);
    const id = path.startsWith("/c/") ? path.slice(3) : "";
    const turn = new URLSearchParams(location.search).get("turn");
    if (id !== this.id || turn) this.show(id, turn); // otherwise the drawer was closed
  },

  /**
   * @param {string} id
   * @param {string | null} turn
   */
  show(id, turn) {
    this.syncChoice();
    this.tell("");
    this.id = id;
    this.load();
    this.isChoiceNew = false;
    this.isChoiceKnown = !id; // until the server has sent the conversation's model
    if (!id) this.beginChoice();
    this.$nextTick(this.grow);
    this.whenConnected(() => this.$emit("open", { id, turn }));
  },

  /** @param {string} id */
  lose(id) {
    this.salvage(id);
    this.id = "";
    this.load();
    this.beginChoice();
    this.$nextTick(this.grow);
  },

  /**
   * Reopens a conversation that was deleted while this page showed it, and has been restored.
   * @param {string} id
   */
  comeBack(id) {
    if (this.id) return;
    if (location.pathname === this.address(id)) return this.show(id, null);
    if (this.left?.id !== id) return;
    const { text } = this.left;
    if (text && this.text === text) {
      this.setText("");
      drafts.write("draft", id, text);
    }
    this.left = null;
    this.replaces = true;
    this.onOpen({ detail: id });
  },

  /** @param {CustomEvent<string[]>} e */
  onDeleted(e) {
    const { id } = this;
    if (!id || !this.isConnected || !e.detail.includes(id)) return;
    this.salvage(id);
    this.left = { id, text: drafts.read("draft", "") };
    this.replaces = true;
    this.onOpen({ detail: "" });
    this.isSalvaged = Boolean(this.text);
  },
};
