// @ts-check
// The buttons of a code block: wrap its lines, download and copy it.
import { make, within } from "wireside-kit/dom.js";
import { download } from "wireside-kit/download.js";

// The endings of files. Others would let a model choose what a downloaded text is opened with.
const ENDINGS = new Set(
  "c cc cfg conf cpp cs css csv dart diff ex go graphql h hs html ini java jl js json jsx kt less lua md mmd patch php pl proto ps1 py r rb rs scala scss sh sql svg swift tex tf toml ts tsx txt vue xml yaml yml zig".split(
    " ",
  ),
);

// The endings of languages that are called otherwise.
const LANGUAGES = new Map(
  Object.entries({
    bash: "sh",
    "c#": "cs",
    "c++": "cpp",
    csharp: "cs",
    elixir: "ex",
    golang: "go",
    haskell: "hs",
    javascript: "js",
    julia: "jl",
    kotlin: "kt",
    latex: "tex",
    markdown: "md",
    mermaid: "mmd",
    perl: "pl",
    postgresql: "sql",
    powershell: "ps1",
    python: "py",
    python3: "py",
    ruby: "rb",
    rust: "rs",
    shell: "sh",
    sqlite: "sql",
    terraform: "tf",
    typescript: "ts",
    zsh: "sh",
  }),
);

/** @param {string} label of the block's language */
function fileName(label) {
  const ending = LANGUAGES.get(label) ?? label;
  return `code.${ENDINGS.has(ending) ? ending : "txt"}`;
}

/** @satisfies {ThisType<Transcript>} */
export const codeTools = {
  /** @param {HTMLElement} block */
  addCodeTools(block) {
    const { lang } = block.dataset;
    /** @param {string} words */
    const named = (words) => (lang ? `${words} (${lang})` : words);
    const tools = make("div", "ws-prose-tools");
    const wrap = this.button("wrap_code", this.words.wrap_lines, "wrap");
    wrap.setAttribute("aria-pressed", "false");
    tools.append(
      wrap,
      this.button("download_code", named(this.words.download_code), "download"),
      this.button("copy_code", named(this.words.copy_code), "copy"),
    );
    block.append(tools);
  },

  /**
   * Breaks the long lines of a block, or lets them scroll again.
   * @param {Element} button
   * @param {HTMLElement} block
   */
  wrapCode(button, block) {
    this.stick = false; // the button keeps its position
    const wraps = block.classList.toggle("ws-prose-wraps");
    button.setAttribute("aria-pressed", String(wraps));
  },

  /** @param {HTMLElement} block */
  downloadCode(block) {
    const code = within(block, "code").textContent;
    download(
      new Blob([code], { type: "text/plain;charset=utf-8" }),
      fileName(block.dataset.lang ?? ""),
    );
  },
};
