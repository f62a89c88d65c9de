// @ts-check
// The turn whose question is being edited in the message box.

/** @satisfies {ThisType<Transcript>} */
export const edited = {
  /**
   * Outlines the question and scrolls to it if it is not visible; "" is for none.
   * @param {CustomEvent<string>} event
   */
  onEditing(event) {
    this.editedId = event.detail;
    for (const row of this.byId.values()) this.paintEdited(row);
    const row = this.byId.get(this.editedId);
    const index = row ? this.rows.indexOf(row) : -1;
    if (!row || index < 0 || this.isInView(row)) return;
    this.stick = false;
    this.goal = { index, top: 16 };
    this.arrange();
  },

  /** @param {Row} row */
  paintEdited(row) {
    row.el?.classList.toggle("ws-turn-edited", row.data.id === this.editedId);
  },

  /**
   * Whether the end of the question is visible.
   * @param {Row} row
   */
  isInView(row) {
    if (!row.el?.isConnected) return false;
    const view = this.scroller.getBoundingClientRect();
    const { bottom } = row.questionPart.getBoundingClientRect();
    return bottom > view.top + 16 && bottom < view.bottom;
  },
};
