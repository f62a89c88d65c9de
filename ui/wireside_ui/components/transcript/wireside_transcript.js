// @ts-check
// The conversation on the page. The component builds its DOM by hand, so a Vue render of the page never changes its content.
// Turns near the viewport have DOM; two spacers replace the others. Each module has the methods of one subject.
import { h, toRaw } from "vue";
import { make } from "wireside-kit/dom.js";
import { iconMarkup } from "wireside-kit/icons.js";
import { actions } from "wireside-transcript/actions.js";
import { announcing } from "wireside-transcript/announcing.js";
import { attachments } from "wireside-transcript/attachments.js";
import { blocks } from "wireside-transcript/blocks.js";
import { codeTools } from "wireside-transcript/code_tools.js";
import { comments } from "wireside-transcript/comments.js";
import { copyMenu } from "wireside-transcript/copy_menu.js";
import { copying } from "wireside-transcript/copying.js";
import { details } from "wireside-transcript/details.js";
import { diagrams } from "wireside-transcript/diagrams.js";
import { edited } from "wireside-transcript/edited.js";
import { feedback } from "wireside-transcript/feedback.js";
import { figures } from "wireside-transcript/figures.js";
import { find } from "wireside-transcript/find.js";
import { followUps } from "wireside-transcript/follow_ups.js";
import { formulas } from "wireside-transcript/formulas.js";
import { keys } from "wireside-transcript/keys.js";
import { mounting } from "wireside-transcript/mounting.js";
import { notes } from "wireside-transcript/notes.js";
import { painting } from "wireside-transcript/painting.js";
import { parts } from "wireside-transcript/parts.js";
import { printing } from "wireside-transcript/printing.js";
import { questions } from "wireside-transcript/questions.js";
import { readingAloud } from "wireside-transcript/reading_aloud.js";
import { rewriting } from "wireside-transcript/rewriting.js";
import { scrolling } from "wireside-transcript/scrolling.js";
import { sources } from "wireside-transcript/sources.js";
import { steps } from "wireside-transcript/steps.js";
import { streaming } from "wireside-transcript/streaming.js";
import { tables } from "wireside-transcript/tables.js";
import { turns } from "wireside-transcript/turns.js";
import { views } from "wireside-transcript/views.js";

/** @param {EventTarget | null} target */
function linkAt(target) {
  const link = /** @type {Element} */ (target).closest(".ws-prose a");
  return link instanceof HTMLAnchorElement ? link : null;
}

export default /** @satisfies {ComponentOptions<Transcript>} */ ({
  props: {
    words: Object,
    announce: { type: Boolean, default: true },
    pageSize: { type: Number, default: 20 },
    guess: { type: Number, default: 280 },
    isViewer: Boolean, // read-only users can't change anything
    right: { type: String, default: "own" }, // what the user may do with the first conversation
    comments: Object, // how many comments each turn of the first conversation has
    asksConsent: Boolean, // whether administrators may read a rated answer
    assets: { type: String, default: "/assets" }, // base URL of math.js and katex/
    files: { type: String, default: "/api/files" }, // base URL of the questions' files
    uploads: { type: String, default: "/api/uploads" }, // takes the file that answers a question
    version: { type: String, default: "" },
    views: String, // base URL of the pages with views
    viewNames: { type: Array, default: () => [] },
    begin: Object, // the rows that the page was sent with, the number of turns and the source
  },
  emits: ["need", "action", "copy", "find", "answer", "rewrite"],

  data() {
    return { rightNow: this.right };
  },
  computed: {
    // Whether the user may change nothing: in a conversation of another user, only its owner may.
    isReader() {
      return this.isViewer || this.rightNow !== "own";
    },
  },

  render() {
    return h("div", { class: "ws-transcript" });
  },

  mounted() {
    this.rows = []; // by index; a hole is a turn whose content is not loaded
    this.heights = [];
    this.byId = new Map();
    this.first = 0; // mounted turns: [first, end)
    this.end = 0;
    this.asked = new Set();
    this.queue = [];
    this.copies = new Map();
    this.rewrites = new Map();
    this.reading = null; // the turn that is read aloud
    this.canReadAloud(); // the browser loads its voices
    this.source = ""; // the conversation's URL in the REST API
    this.isReadOut = this.announce;
    this.editedId = "";
    this.commentCounts = new Map(Object.entries(toRaw(this.comments)?.counts ?? {})); // by turn
    this.canComment = this.comments?.canAdd ?? false;
    this.lookedFor = ""; // words of a search, to be marked after the jump to its hit
    this.toGlide = 0; // px of keyboard scrolling that remain
    this.gliding = 0;
    this.findings = null; // while the find bar is open: {query, turns, at, ranges, range}
    this.speech = "";
    this.stick = true;
    this.template = document.createElement("template");

    this.scroller = make("div", "ws-transcript-scroller", {
      role: "log",
      "aria-live": "off",
      "aria-label": this.words.conversation,
      tabindex: "0",
    });
    this.column = make("div", "ws-transcript-column");
    this.above = make("div", "ws-transcript-space");
    this.list = /** @type {Transcript["list"]} */ (make("div", "ws-transcript-rows"));
    this.below = make("div", "ws-transcript-space");
    this.column.append(this.above, this.list, this.below);
    this.scroller.append(this.column);
    this.newText = make("button", "ws-transcript-new-text", {
      type: "button",
      "data-testid": "new-text",
      hidden: "",
    });
    this.newText.innerHTML = iconMarkup("arrow_down");
    const label = make("span", "");
    label.textContent = this.words.new_text;
    this.newText.append(label);
    this.newText.onclick = () => this.toEnd();
    this.live = make("div", "ws-transcript-offscreen", {
      "aria-live": "polite",
      "aria-atomic": "false",
      "data-testid": "announcer",
    });
    this.where = make("div", "ws-transcript-where", {
      "aria-hidden": "true",
      "data-testid": "where",
      dir: "ltr",
      hidden: "",
    }); // hidden from screen readers, which read the link's title
    this.where.append(make("b", ""), make("span", ""));
    this.$el.append(this.scroller, this.newText, this.where, this.live);
    this.readPreferences();

    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.scroller.addEventListener("click", (event) => this.onClick(event));
    this.scroller.addEventListener("keydown", (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (event.key === "Enter" && target.matches(".ws-fn")) this.showFootnote(target);
    });
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"])
      this.scroller.addEventListener(name, () => (this.goal = null), { passive: true });
    for (const name of ["wheel", "touchmove", "pointerdown"])
      this.scroller.addEventListener(name, () => (this.toGlide = 0), { passive: true });
    this.scroller.addEventListener("submit", (event) => this.sendFeedback(event));
    for (const name of ["mouseover", "focusin"])
      this.scroller.addEventListener(name, (event) => this.showWhere(linkAt(event.target)));
    for (const name of ["mouseleave", "focusout"])
      this.scroller.addEventListener(name, () => this.showWhere(null));
    this.$el.addEventListener("keydown", (event) => this.onKey(event));
    this.scroller.addEventListener("copy", (event) => this.copySelection(event));
    this.closer = (/** @type {Event} */ event) =>
      this.menu &&
      !this.menu.el.parentElement?.contains(/** @type {Node} */ (event.target)) &&
      this.closeMenu();
    document.addEventListener("pointerdown", this.closer);
    document.addEventListener("keydown", this.onPageKey);
    document.addEventListener("copy", this.onCopy);
    window.addEventListener("wireside:scroll", this.onScrollWish);
    window.addEventListener("wireside:preferences", this.readPreferences);
    window.addEventListener("wireside:editing", this.onEditing);
    window.addEventListener("wireside:move", this.tellPlace);
    window.addEventListener("wireside:found", this.onFound);
    window.addEventListener("wireside:find", this.onFind);
    window.addEventListener("beforeprint", this.beforePrint);
    window.addEventListener("afterprint", this.afterPrint);
    this.observer = new ResizeObserver(() => this.onResize());
    this.observer.observe(this.list);
    this.observer.observe(this.column, { box: "border-box" }); // its padding has the height of the composer
    this.observer.observe(this.scroller);
    this.ticker = setInterval(() => this.tick(), 1000);
    const begin = toRaw(this.begin);
    if (begin) {
      this.source = begin.source ?? "";
      this.reset(begin.rows, begin.total);
    }
  },

  unmounted() {
    this.stopReading();
    this.observer.disconnect();
    this.figureObserver?.disconnect();
    this.themeObserver?.disconnect();
    clearInterval(this.ticker);
    document.removeEventListener("pointerdown", this.closer);
    document.removeEventListener("keydown", this.onPageKey);
    document.removeEventListener("copy", this.onCopy);
    window.removeEventListener("wireside:scroll", this.onScrollWish);
    window.removeEventListener("wireside:preferences", this.readPreferences);
    window.removeEventListener("wireside:editing", this.onEditing);
    window.removeEventListener("wireside:move", this.tellPlace);
    window.removeEventListener("wireside:found", this.onFound);
    window.removeEventListener("wireside:find", this.onFind);
    window.removeEventListener("beforeprint", this.beforePrint);
    window.removeEventListener("afterprint", this.afterPrint);
    cancelAnimationFrame(this.gliding);
    this.closeFind();
  },

  methods: {
    ...actions,
    ...announcing,
    ...attachments,
    ...blocks,
    ...codeTools,
    ...comments,
    ...copyMenu,
    ...copying,
    ...details,
    ...diagrams,
    ...edited,
    ...feedback,
    ...figures,
    ...find,
    ...followUps,
    ...formulas,
    ...keys,
    ...mounting,
    ...notes,
    ...painting,
    ...parts,
    ...printing,
    ...questions,
    ...readingAloud,
    ...rewriting,
    ...scrolling,
    ...sources,
    ...steps,
    ...streaming,
    ...tables,
    ...turns,
    ...views,
  },
});
