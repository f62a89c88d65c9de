// The message box. The browser owns its text: the server never changes it while the user types.
// Sent questions stay in an outbox until the server acknowledges them. After a lost connection or a reload they are
// sent again under the same id, and the server processes each id once.
import { h } from "vue";
import { choice, currentModel, hasFilesOnly, isChosenModelGone, isComposing, mayTakeFocus, memory } from "wireside-kit";
import * as drafts from "wireside-kit/drafts.js";

const MAX_BYTES = 900_000; // limit of one message: NiceGUI's socket accepts a million bytes, including the envelope

const ICONS = {
  send: "M12 19V5m-6 6l6-6 6 6",
  stop: "M8 8h8v8H8z",
  tune: "M4 8h9m5 0h2M4 16h2m5 0h9M13 8a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0M6 16a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0",
  close: "M6 6l12 12M18 6L6 18",
};
const icon = (name) =>
  h("svg", { viewBox: "0 0 24 24", width: 20, height: 20, class: "ws-icon", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

// On-screen keyboards have no Shift+Enter.
const IS_TOUCH = () => matchMedia("(hover: none) and (pointer: coarse)").matches;

// A preference of this browser: "true" or "false".
function preferred(key, otherwise) {
  try {
    const kept = localStorage.getItem("wireside." + key);
    return kept === null ? otherwise : kept === "true";
  } catch {
    return otherwise;
  }
}

const SETTINGS = ["system", "temperature", "max_tokens"];
const LIMITS = { temperature: [0, 2], max_tokens: [1, 1_000_000] };
const CHOOSE_MS = 400; // delay between the last key in the settings and saving

// Parses a number in common notations, also with a comma; undefined if empty, NaN if invalid.
function numberOf(name, text) {
  const written = String(text ?? "").trim().replace(",", ".");
  if (!written) return undefined;
  const [low, high] = LIMITS[name];
  const number = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(written) ? Number(written) : NaN;
  const isWhole = name !== "max_tokens" || Number.isInteger(number);
  return number >= low && number <= high && isWhole ? number : NaN;
}

// Converts the server's options to the fields of the panel.
function fieldsOf(options) {
  const filled = SETTINGS.filter((name) => options?.[name] !== null && options?.[name] !== undefined);
  return Object.fromEntries(filled.map((name) => [name, String(options[name])]));
}

export default {
  props: { conversation: String, lost: String, base: String, maxChars: Number, isReader: Boolean, words: Object, chosen: Object },
  emits: ["send", "stop", "edit-last", "open", "choose"],
  data() {
    return {
      id: this.conversation, // "" for a new one
      text: "",
      outbox: [],
      isAnswering: false,
      isConnected: true,
      notice: "",
      waitS: 0, // seconds until the refused request may be retried
      isSalvaged: false,
      allowance: "", // what remains of the limits, when it is low
      editing: "",
      open: false,
      settings: {}, // as typed in the panel
      isChoiceKnown: true, // false while another conversation is being opened
      enterSends: preferred("enter_sends", !IS_TOUCH()),
      readsOut: preferred("read_out", true),
    };
  },
  computed: {
    chars() {
      // most texts are short enough in UTF-16 units already: avoids splitting them on each key
      return this.text.length <= this.maxChars ? this.text.length : [...this.text].length;
    },
    tooLong() {
      return this.chars > this.maxChars || (this.text.length > MAX_BYTES / 6 && bytes(this.text) > MAX_BYTES);
    },
    canSend() {
      return Boolean(this.text.trim()) && this.isConnected && !this.tooLong && !this.isReader && !this.invalid && this.isChoiceKnown;
    },
    // The first setting that is out of its range.
    invalid() {
      return Object.keys(LIMITS).find((name) => Number.isNaN(numberOf(name, this.settings[name])));
    },
    gone() {
      if (!isChosenModelGone()) return "";
      return this.words.model_gone.replace("{model}", () => choice.model).replace("{other}", () => currentModel().name);
    },
    stops() {
      return this.isAnswering && !this.text.trim();
    },
    warning() {
      if (this.notice) return this.notice;
      if (this.tooLong) return this.tooLongText();
      if (this.invalid) return this.words["invalid_" + this.invalid];
      return this.isConnected ? "" : this.words.offline_hint;
    },
    hint() {
      const w = this.words;
      if (this.warning) return h("span", { class: "ws-hint-shown" }, [this.warning, this.countdown]);
      if (this.gone) return h("span", { class: "ws-hint-calm", "data-testid": "model-gone" }, this.gone);
      if (window.wiresideStorageBlocked && this.text) return h("span", { class: "ws-hint-calm" }, w.storage_blocked);
      if (this.allowance) return h("span", { class: "ws-hint-calm", "data-testid": "allowance" }, this.allowance);
      return this.isSalvaged ? h("span", { class: "ws-hint-calm" }, w.salvaged) : w.disclaimer;
    },
    countdown() {
      if (!this.notice || !this.waitS) return null;
      const sentence = this.words.try_in.replace("{time}", duration(this.waitS));
      // announced once with the notice, not every second
      return h("span", { "data-testid": "countdown", "aria-live": "off" }, ` ${sentence}`);
    },
    hasSettings() {
      return SETTINGS.some((name) => String(this.settings[name] ?? "").trim());
    },
  },
  created() {
    if (this.lost) this.salvage(this.lost);
    this.load(!window.wiresideShell?.isTyped()); // keeps text that is being typed
    this.id ? this.setChoice(this.id, this.chosen) : this.beginChoice();
  },
  mounted() {
    window.addEventListener("wireside:ask", this.onAsk);
    window.addEventListener("wireside:open", this.onOpen);
    window.addEventListener("wireside:model", this.onModel);
    window.addEventListener("wireside:deleted", this.onDeleted);
    window.addEventListener("pagehide", this.syncChoice);
    document.addEventListener("dragover", this.onDrag);
    document.addEventListener("drop", this.onDrop);
    window.addEventListener("wireside:connection", this.onConnection);
    window.addEventListener("popstate", this.onHistory);
    document.addEventListener("keydown", this.onPageKey);
    document.addEventListener("click", this.onOutside);
    window.visualViewport?.addEventListener("resize", this.onViewport);
    window.visualViewport?.addEventListener("scroll", this.onViewport);
    this.observer = new ResizeObserver(() =>
      document.documentElement.style.setProperty("--ws-composer-height", this.$el.offsetHeight + "px"),
    );
    this.observer.observe(this.$el);
    this.grow();
    this.takeOver();
    this.whenConnected(() => this.outbox.forEach(this.emitSend));
  },
  unmounted() {
    clearTimeout(this.timer);
    clearTimeout(this.choosing);
    window.removeEventListener("wireside:ask", this.onAsk);
    window.removeEventListener("wireside:open", this.onOpen);
    window.removeEventListener("wireside:model", this.onModel);
    window.removeEventListener("wireside:deleted", this.onDeleted);
    window.removeEventListener("pagehide", this.syncChoice);
    document.removeEventListener("dragover", this.onDrag);
    document.removeEventListener("drop", this.onDrop);
    window.removeEventListener("wireside:connection", this.onConnection);
    window.removeEventListener("popstate", this.onHistory);
    document.removeEventListener("keydown", this.onPageKey);
    document.removeEventListener("click", this.onOutside);
    window.visualViewport?.removeEventListener("resize", this.onViewport);
    window.visualViewport?.removeEventListener("scroll", this.onViewport);
    this.observer.disconnect();
  },
  render() {
    const w = this.words;
    return h("section", { class: "ws-composer", "aria-label": w.message_box }, [
      h("form", { class: "ws-box", onSubmit: this.onSubmit }, [
        this.editing
          ? h("div", { class: "ws-editing" }, [
              h("span", w.editing),
              h("button", { type: "button", class: "ws-tool", "aria-label": w.cancel, title: w.cancel, onClick: this.stopEditing }, icon("close")),
            ])
          : null,
        h("textarea", {
          ref: "box",
          rows: 1,
          value: this.text,
          placeholder: this.isReader ? w.read_only : w.placeholder,
          disabled: this.isReader,
          "aria-label": this.isReader ? w.read_only : w.placeholder,
          "aria-describedby": "ws-hint",
          "aria-invalid": this.tooLong ? "true" : undefined,
          "data-testid": "input-chat",
          dir: this.text ? "auto" : undefined, // the placeholder has the page's direction
          enterkeyhint: this.enterSends ? "send" : "enter",
          autocomplete: "off",
          onInput: (e) => this.setText(e.target.value),
          onKeydown: this.onKey,
          onPaste: this.onPaste,
        }),
        h("div", { class: "ws-bar" }, [this.options(), h("span", { class: "ws-gap" }), this.stops ? this.stopButton() : this.sendButton()]),
      ]),
      h("p", { id: "ws-hint", class: "ws-hint", role: "status" }, [this.hint]),
    ]);
  },
  methods: {
    // ---- called by the server ------------------------------------------------------------------
    allow(sentence) {
      this.allowance = sentence;
    },
    accepted(turnId, conversationId) {
      if (this.waitS) this.tell("");
      const isHere = this.dropFromOutbox(turnId);
      if (!isHere || this.id) return;
      this.keep("", []);
      this.id = conversationId;
      this.keep(this.draft(), this.outbox);
      this.syncChoice();
      history.replaceState(history.state, "", this.address(conversationId));
    },
    refused(turnId, sentence, waitS) {
      const item = this.dropFromOutbox(turnId);
      if (!item) return;
      item.edits && !this.text.trim() ? this.edit(item.edits, item.question) : this.putBack(item.question);
      this.tell(sentence, waitS);
    },
    tell(sentence, waitS) {
      this.notice = sentence;
      this.deadline = Date.now() + (waitS ?? 0) * 1000;
      this.waitS = 0;
      this.countDown();
    },
    countDown() {
      clearTimeout(this.timer);
      const wasWaiting = this.waitS > 0;
      this.waitS = Math.max(0, Math.ceil((this.deadline - Date.now()) / 1000));
      if (this.waitS) this.timer = setTimeout(this.countDown, 250);
      else if (wasWaiting) this.notice = ""; // a retry is allowed now
    },
    setAnswering(isAnswering) {
      this.isAnswering = isAnswering;
    },
    putBack(question) {
      this.setText(this.text.trim() ? `${question}\n${this.text}` : question);
      this.$refs.box.focus();
    },
    edit(turnId, question) {
      if (this.editing === turnId) return this.$refs.box.focus(); // keeps the changes made so far
      if (!this.editing) this.beforeEditing = this.text;
      else if (this.text !== this.original) this.beforeEditing = [this.beforeEditing, this.text].filter(Boolean).join("\n"); // the edit is kept, not lost
      this.original = question;
      this.editing = turnId;
      this.setText(question);
      this.$nextTick(() => {
        this.$refs.box.focus();
        this.$refs.box.setSelectionRange(question.length, question.length);
      });
    },
    lose(id) {
      this.salvage(id);
      this.id = "";
      this.load();
      this.beginChoice();
      this.$nextTick(this.grow);
    },
    // Reopens a conversation that was deleted while this page showed it, and has been restored.
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
    // Applies the model and settings of a conversation as stored by the server.
    setChoice(id, options) {
      if (id !== this.id) return;
      this.isChoiceKnown = true;
      if (this.isChoiceNew) return; // this page has a newer choice, which has not been saved yet
      if (!options) return this.beginChoice();
      choice.model = options?.model || "";
      this.settings = fieldsOf(options);
    },

    // ---- text ----------------------------------------------------------------------------------
    load(adopts = true) {
      const kept = drafts.read("draft", this.id, { adopts }) ?? "";
      this.text = kept.text ?? kept;
      this.editing = kept.edits ?? "";
      this.beforeEditing = kept.before ?? "";
      this.outbox = drafts.read("outbox", this.id) ?? [];
    },
    keep(draft, outbox) {
      drafts.write("draft", this.id, draft);
      drafts.write("outbox", this.id, outbox);
    },
    // The stored state of the box: its text and, while a question is edited, that turn's id and the text before the edit.
    draft() {
      return this.editing ? { text: this.text, edits: this.editing, before: this.beforeEditing } : this.text;
    },
    // Moves unsent text of a deleted conversation to a new one. Its context is gone, so none of it is
    // sent automatically.
    salvage(id) {
      const unsent = (drafts.read("outbox", id) ?? []).map((item) => item.question);
      const kept = [id, ""].map((one) => drafts.read("draft", one) ?? "").flatMap((draft) => [draft.text ?? draft, draft.before ?? ""]);
      const texts = [...unsent, ...kept].filter((text) => text.trim());
      this.isSalvaged = texts.length > 0;
      drafts.write("draft", "", [...new Set(texts)].join("\n"));
      drafts.write("draft", id, null);
      drafts.write("outbox", id, null);
    },
    // Takes over text typed into the box that the server rendered before this script had loaded.
    takeOver() {
      const early = window.wiresideShell?.takeOver();
      const box = this.$refs.box;
      if (early?.text) this.setText(early.text);
      if (early?.hasFocus || mayTakeFocus()) box.focus({ preventScroll: true });
      if (early?.text && early.hasFocus) this.$nextTick(() => box.setSelectionRange(...early.selection));
      if (early?.sends) this.whenConnected(this.submit);
      if (early?.asks) this.whenConnected(() => this.onAsk({ detail: early.asks }));
    },
    setText(text) {
      this.text = text;
      if (!this.waitS) this.notice = "";
      this.isSalvaged = false;
      drafts.write("draft", this.id, this.draft());
      this.$nextTick(this.grow);
    },
    grow() {
      const box = this.$refs.box;
      box.style.height = "auto";
      box.style.height = box.scrollHeight + "px"; // bounded by max-height in the style sheet
    },
    tooLongText() {
      const over = this.chars - this.maxChars;
      const number = (value) => value.toLocaleString(document.documentElement.lang);
      if (over <= 0) return this.words.too_big;
      return this.words.too_long.replace("{over}", number(over)).replace("{limit}", number(this.maxChars));
    },
    stopEditing() {
      this.editing = "";
      this.setText(this.beforeEditing || "");
      this.$refs.box.focus();
    },
    // some browsers do not resize the page for a phone's keyboard, which then covers it
    onViewport() {
      const { height, offsetTop, scale } = window.visualViewport;
      if (scale > 1.01) return; // the user has zoomed in
      const hidden = Math.max(0, Math.round(window.innerHeight - height - offsetTop));
      document.documentElement.style.setProperty("--ws-keyboard", (hidden > 80 ? hidden : 0) + "px");
    },

    // ---- which conversation --------------------------------------------------------------------
    address(id) {
      return id ? `${this.base}/c/${id}` : `${this.base}/`;
    },
    // The event's detail is a conversation, "" for a new one, or "ID?turn=TURN".
    onOpen(e) {
      if (!this.isConnected) return; // the hint under the box shows the reason
      const [id, query] = e.detail.split("?");
      const turn = new URLSearchParams(query).get("turn");
      const address = this.address(id) + (turn ? `?turn=${turn}` : "");
      const isOther = location.pathname + location.search !== address;
      // Replaces the history entry of a deleted conversation, and the one that the drawer added.
      if (isOther && (this.replaces || history.state?.drawer)) history.replaceState(null, "", address);
      else if (isOther) history.pushState(null, "", address);
      else if (history.state?.drawer) history.back();
      this.replaces = false;
      this.show(id, turn);
      if (!turn && matchMedia("(hover: hover)").matches) this.$refs.box.focus({ preventScroll: true });
    },
    onHistory() {
      const path = location.pathname.slice(this.base.length);
      const id = path.startsWith("/c/") ? path.slice(3) : "";
      const turn = new URLSearchParams(location.search).get("turn");
      if (id !== this.id || turn) this.show(id, turn); // otherwise the drawer was closed
    },
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

    // ---- sending -------------------------------------------------------------------------------
    onSubmit(e) {
      e.preventDefault();
      this.submit();
    },
    submit() {
      if (!this.canSend) return;
      const text = this.text;
      const edits = this.editing || null;
      if (isChosenModelGone()) this.onModel(); // the displayed model becomes the choice
      this.editing = "";
      this.send(text, edits); // stored in the outbox before the box is cleared
      this.setText(edits ? this.beforeEditing || "" : "");
    },
    send(question, edits = null) {
      const item = { turn_id: newId(), question, edits, options: this.chosenOptions() };
      this.outbox.push(item);
      drafts.write("outbox", this.id, this.outbox);
      if (!this.id) drafts.writeHere("choice", "", null); // the question contains it
      this.syncChoice();
      this.emitSend(item);
    },
    emitSend(item) {
      this.$emit("send", item);
    },
    // Returns the removed item, if it was sent from the conversation that is shown.
    dropFromOutbox(turnId) {
      const item = this.outbox.find((other) => other.turn_id === turnId);
      this.outbox = this.outbox.filter((other) => other !== item);
      drafts.write("outbox", this.id, this.outbox);
      if (!item) dropElsewhere(turnId);
      return item;
    },
    whenConnected(then) {
      window.socket?.connected && window.did_handshake ? then() : setTimeout(() => this.whenConnected(then), 20);
    },
    onAsk(e) {
      if (this.invalid) return; // the hint under the box shows the reason
      if (this.id || !this.outbox.length) this.send(e.detail); // a double click on a starter sends one question
    },
    onConnection(e) {
      this.isConnected = e.detail === "connected" || e.detail === "connecting";
      // sends the outbox again after a lost connection: the server processes each id once
      if (e.detail !== "connected") return;
      this.whenConnected(() => {
        this.syncChoice();
        this.outbox.forEach(this.emitSend);
      });
    },
    onKey(e) {
      if (isComposing(e)) return; // Enter ends the composition of an input method
      const isForced = e.ctrlKey || e.metaKey;
      if (e.key === "Enter" && !e.shiftKey && (this.enterSends || isForced)) {
        e.preventDefault();
        this.submit();
      } else if ((e.key === "PageUp" || e.key === "PageDown") && !e.shiftKey && !isForced && !e.altKey) {
        const { scrollHeight, clientHeight } = this.$refs.box;
        if (scrollHeight > clientHeight + 1) return; // the box itself scrolls
        e.preventDefault();
        window.dispatchEvent(new CustomEvent("wireside:scroll", { detail: e.key === "PageDown" ? 1 : -1 }));
      } else if (e.key === "ArrowUp" && !this.text) {
        e.preventDefault();
        this.$emit("edit-last");
      }
    },
    onPageKey(e) {
      if (e.defaultPrevented || isComposing(e) || document.querySelector("dialog[open]")) return;
      if (e.key === "Escape") {
        if (this.open) this.closeOptions();
        else if (this.editing) this.stopEditing();
        else if (this.isAnswering) this.$emit("stop");
      } else if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !e.target.closest?.("input, textarea, select, [contenteditable]")) {
        e.preventDefault();
        this.$refs.box.focus();
      }
    },
    sendButton() {
      const w = this.words;
      const title = this.isConnected ? w.send : w.offline_hint;
      return h(
        "button",
        { type: "submit", class: "ws-send", "data-testid": "button-send", "aria-label": w.send, title, disabled: !this.canSend },
        icon("send"),
      );
    },
    stopButton() {
      const w = this.words;
      const stop = () => {
        this.$emit("stop");
        this.$refs.box.focus({ preventScroll: true }); // this button disappears
      };
      return h("button", { type: "button", class: "ws-send", "data-testid": "button-stop", "aria-label": w.stop, title: w.stop, onClick: stop }, icon("stop"));
    },

    // ---- files, which can't be attached --------------------------------------------------------
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

    // ---- a conversation that is deleted while it is shown ---------------------------------------
    onDeleted(e) {
      const { id } = this;
      if (!id || !this.isConnected || !e.detail.includes(id)) return;
      this.salvage(id);
      this.left = { id, text: drafts.read("draft", "") };
      this.replaces = true;
      this.onOpen({ detail: "" });
      this.isSalvaged = Boolean(this.text);
    },

    // ---- the model and its settings ------------------------------------------------------------
    // The server stores those of a conversation; those of a new chat are stored in the tab until its first question.
    beginChoice() {
      const kept = drafts.read("choice", "", { adopts: false });
      choice.model = kept?.model ?? memory.readText("model");
      this.settings = kept?.settings ?? {};
      this.isChoiceNew = false;
      this.isChoiceKnown = true;
    },
    onModel() {
      if (isChosenModelGone()) choice.model = currentModel().id;
      memory.writeText("model", choice.model); // the default for the next new chat
      this.keepChoice();
      this.syncChoice();
    },
    keepChoice() {
      this.isChoiceNew = true;
      if (!this.id) drafts.writeHere("choice", "", { model: choice.model, settings: this.settings });
    },
    // Saves the choice on the server; invalid settings are not sent.
    syncChoice() {
      clearTimeout(this.choosing);
      if (!this.isChoiceNew || !this.id || this.invalid || !window.socket?.connected) return;
      this.isChoiceNew = false;
      this.$emit("choose", { id: this.id, options: this.chosenOptions() });
    },
    chosenOptions() {
      const { temperature, max_tokens, system } = this.settings;
      return {
        model: currentModel()?.id ?? (choice.model || null),
        system: system?.trim() ? system : null,
        temperature: numberOf("temperature", temperature) ?? null,
        max_tokens: numberOf("max_tokens", max_tokens) ?? null,
      };
    },
    set(name, value) {
      this.settings = { ...this.settings, [name]: value };
      this.keepChoice();
      clearTimeout(this.choosing);
      this.choosing = setTimeout(this.syncChoice, CHOOSE_MS);
    },
    forgetSettings() {
      this.settings = {};
      this.keepChoice();
      this.syncChoice();
      this.$refs.system.focus();
    },
    closeOptions() {
      const hadFocus = this.$refs.options.contains(document.activeElement);
      this.open = false;
      if (hadFocus) this.$refs.tune.focus();
    },
    onOutside(e) {
      if (this.open && !this.$refs.options.contains(e.target)) this.open = false;
    },
    options() {
      const w = this.words;
      const leave = (e) => {
        this.syncChoice(); // before a click that may send another question
        if (e.relatedTarget && !this.$refs.options.contains(e.relatedTarget)) this.open = false;
      };
      return h("div", { ref: "options", class: "ws-options", onFocusout: leave }, [
        h(
          "button",
          {
            ref: "tune",
            type: "button",
            class: ["ws-tool", this.hasSettings && "ws-changed"],
            "data-testid": "options",
            "aria-label": w.settings,
            title: w.settings,
            "aria-haspopup": "dialog",
            "aria-expanded": String(this.open),
            onClick: () => (this.open = !this.open),
          },
          icon("tune"),
        ),
        this.open ? this.panel() : null,
      ]);
    },
    panel() {
      const w = this.words;
      const field = (name, tag, more) =>
        h("label", [h("span", w[name]), h(tag, { ...more, ref: name, value: this.settings[name] ?? "", onInput: (e) => this.set(name, e.target.value) })]);
      const close = (e) => e.key === "Enter" && !isComposing(e) && (e.preventDefault(), this.closeOptions());
      // not of type "number", which returns an empty value for unparsable input
      const number = (name) => {
        const isWrong = Number.isNaN(numberOf(name, this.settings[name]));
        return { type: "text", autocomplete: "off", placeholder: w.by_default, "aria-invalid": isWrong ? "true" : undefined, onKeydown: close };
      };
      return h("div", { class: "ws-menu ws-panel", role: "dialog", "aria-label": w.settings }, [
        field("system", "textarea", { rows: 3, placeholder: w.system_placeholder, maxlength: 20000, dir: "auto" }),
        h("div", { class: "ws-pair" }, [
          field("temperature", "input", { ...number("temperature"), inputmode: "decimal" }),
          field("max_tokens", "input", { ...number("max_tokens"), inputmode: "numeric" }),
        ]),
        this.invalid ? h("p", { class: "ws-field-error", role: "alert", "data-testid": "invalid-setting" }, w["invalid_" + this.invalid]) : null,
        h("div", { class: "ws-panel-foot" }, [
          h("small", w.settings_note),
          h("button", { type: "button", class: "ws-button", disabled: !this.hasSettings, onClick: this.forgetSettings }, w.reset),
        ]),
        this.preferences(),
      ]);
    },

    // ---- preferences of this browser -------------------------------------------------------------
    preferences() {
      const box = (name, key, isOn) =>
        h("label", { class: "ws-choice" }, [h("input", { type: "checkbox", checked: isOn, onChange: (e) => this.prefer(name, key, e.target.checked) }), h("span", this.words[key])]);
      return h("div", { class: "ws-choices" }, [
        box("enterSends", "enter_sends", this.enterSends),
        box("readsOut", "read_out", this.readsOut),
      ]);
    },
    prefer(name, key, isOn) {
      this[name] = isOn;
      try {
        localStorage.setItem("wireside." + key, String(isOn));
      } catch {} // it applies until the page is left
      window.dispatchEvent(new CustomEvent("wireside:preferences"));
    },
  },
};

function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((b) => b.toString(16).padStart(2, "0")).join("");
}

// Formats a waiting time in the page's language: "12 seconds", "3 minutes".
function duration(seconds) {
  const [unit, length] = seconds < 120 ? ["second", 1] : seconds < 7200 ? ["minute", 60] : ["hour", 3600];
  const style = { style: "unit", unit, unitDisplay: "long" };
  return new Intl.NumberFormat(document.documentElement.lang, style).format(Math.ceil(seconds / length));
}

function bytes(text) {
  return new TextEncoder().encode(JSON.stringify(text)).length;
}

// Handles an acknowledgement that arrives after another conversation was opened.
function dropElsewhere(turnId) {
  for (const [conversation, items] of drafts.all("outbox")) {
    if (items?.some((item) => item.turn_id === turnId)) {
      drafts.write(
        "outbox",
        conversation,
        items.filter((item) => item.turn_id !== turnId),
      );
    }
  }
}
