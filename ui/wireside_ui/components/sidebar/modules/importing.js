// @ts-check
// Importing conversations from files.
import { SAY_MS } from "./bottom.js";

/** @satisfies {ThisType<Sidebar>} */
export const importing = {
  chooseFiles() {
    this.$refs.file?.click();
  },

  /** @param {DragEvent} e */
  onDrag(e) {
    if (this.isReader || !e.dataTransfer?.types.includes("Files")) return; // text may be dropped into the search box
    e.preventDefault();
    this.isDropping = true;
  },

  /** @param {DragEvent} e */
  onDrop(e) {
    if (this.isReader) return;
    this.isDropping = false;
    const files = [...(e.dataTransfer?.files ?? [])];
    if (!files.length) return;
    e.preventDefault();
    e.stopPropagation();
    this.importFiles(files);
  },

  /**
   * Imports files one after another; the toast shows the total counts.
   * @param {File[]} files
   */
  async importFiles(files) {
    const w = this.words;
    if (!files.length || this.importing) return;
    this.importing = true;
    /** @type {Record<string, number>} */
    const total = { imported: 0, updated: 0, unchanged: 0, passed_over: 0 };
    const failures = [];
    let isAnyRead = false;
    for (const [index, file] of files.entries()) {
      const progress = files.length > 1 ? ` ${index + 1} / ${files.length}` : "";
      this.say(w.importing + progress, Infinity);
      const result = await this.importFile(file);
      if (result.counts) {
        isAnyRead = true;
        for (const name of Object.keys(total)) total[name] += result.counts[name] ?? 0;
      } else {
        failures.push(files.length > 1 ? `${file.name}: ${result.failure}` : result.failure);
      }
    }
    this.importing = false;
    this.$refs.file.value = "";
    const sentences = isAnyRead ? this.importSentences(total) : [];
    this.say(
      [...sentences, ...failures].join(" "),
      failures.length || sentences.length > 1 ? 2 * SAY_MS : SAY_MS,
    );
  },

  /** @param {File} file */
  async importFile(file) {
    const w = this.words;
    let failure = w.sidebar_import_failed;
    try {
      await file.slice(0, 1).arrayBuffer(); // throws for a folder or a deleted file
      failure = w.offline;
      const response = await fetch(`${this.base}/api/conversations/import`, {
        method: "POST",
        body: file,
      });
      failure = w.sidebar_import_failed;
      const said = await response.json();
      if (response.ok) return { counts: said };
      failure = said.message || failure;
    } catch {
      // no connection, or another server answered
    }
    return { failure };
  },

  /** @param {Record<string, number>} total */
  importSentences(total) {
    const w = this.words;
    const sentences = [
      total.imported === 1
        ? w.sidebar_imported_one
        : w.imported.replace("{count}", String(total.imported)),
    ];
    if (total.updated) sentences.push(w.import_updated.replace("{count}", String(total.updated)));
    if (total.unchanged)
      sentences.push(w.import_unchanged.replace("{count}", String(total.unchanged)));
    if (total.passed_over)
      sentences.push(w.import_passed_over.replace("{count}", String(total.passed_over)));
    return sentences;
  },
};
