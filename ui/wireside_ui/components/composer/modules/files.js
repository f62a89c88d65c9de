// @ts-check
// Files, which cannot be attached.

// Whether a drag or a paste contains files and no text. Some programs add a picture of the text that is meant.
function hasFilesOnly(transfer) {
  const types = [...(transfer?.types ?? [])];
  return types.includes("Files") && !types.some((type) => type.startsWith("text/plain"));
}

export const files = {
  onDrag(e) {
    if (!e.defaultPrevented && hasFilesOnly(e.dataTransfer)) e.preventDefault(); // otherwise the browser would navigate to the file
  },

  onDrop(e) {
    if (e.defaultPrevented || !hasFilesOnly(e.dataTransfer)) return;
    e.preventDefault();
    this.tell(this.words.no_files);
  },

  onPaste(e) {
    if (!hasFilesOnly(e.clipboardData)) return;
    e.preventDefault();
    this.tell(this.words.no_files);
  },
};
