// @ts-check
// Which conversation the box belongs to, and the address of the page.
import { TEMPORARY, chat } from "wireside-kit/chat.js";
import * as drafts from "wireside-kit/drafts.js";

/** @satisfies {ThisType<Composer>} */
export const addresses = {
  /** @param {string} id */
  address(id) {
    return id ? `${this.base}/c/${id}` : `${this.base}/`;
  },

  /**
   * The event's detail is a conversation, "" for a new one, "ID?turn=TURN", or `TEMPORARY`.
   * @param {{ detail: string }} e
   */
  onOpen(e) {
    if (!this.isConnected) return; // the hint under the box shows the reason
    const [id, query] = e.detail.split("?");
    const turn = new URLSearchParams(query).get("turn");
    const isTemporary = e.detail === TEMPORARY;
    const address = this.address(id) + (isTemporary ? TEMPORARY : turn ? `?turn=${turn}` : "");
    const isOther = location.pathname + location.search !== address;
    // Replaces the history entry of a deleted conversation, and the one that the drawer added.
    if (isOther && (this.replaces || history.state?.drawer))
      history.replaceState(null, "", address);
    else if (isOther) history.pushState(null, "", address);
    else if (history.state?.drawer) history.back();
    this.replaces = false;
    this.show(id, turn, isTemporary);
    if (!turn && matchMedia("(hover: hover)").matches)
      this.$refs.box.focus({ preventScroll: true });
  },

  onHistory() {
    const path = location.pathname.slice(this.base.length);
    const id = path.startsWith("/c/") ? path.slice(3) : "";
    const turn = new URLSearchParams(location.search).get("turn");
    const isTemporary = !id && location.search === TEMPORARY;
    if (id !== this.id || turn || isTemporary !== this.isTemporary)
      this.show(id, turn, isTemporary); // otherwise the drawer was closed
  },

  /**
   * @param {string} id
   * @param {string | null} turn
   */
  show(id, turn, isTemporary = false) {
    this.syncChoice();
    this.tell("");
    this.id = id;
    chat.isTemporary = isTemporary;
    this.once = "";
    this.hasAsked = this.isEnding = this.hasEnded = false;
    this.filling = null;
    this.dropVoice();
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
    this.filling = null;
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

  /**
   * Opens a conversation that the server has just created.
   * @param {string} id
   */
  goTo(id) {
    window.dispatchEvent(new CustomEvent("wireside:open", { detail: id }));
  },

  // The page is going to be loaded again: an upload, a recording, the variables of a prompt and a temporary chat would be lost.
  /** @param {CustomEvent<MovingPage>} e */
  onMove(e) {
    const isUploading = [...this.attached, ...this.attachedBefore].some((one) => one.file);
    const isFleeting = this.isTemporary && (this.hasAsked || Boolean(this.text.trim()));
    if (isFleeting) {
      this.isEnding = this.hasAsked;
      e.detail.fleeting = { text: this.text, hasEnded: this.hasAsked };
    }
    if (isUploading || isFleeting || this.filling || this.voice) e.preventDefault();
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
