// The box at the bottom. The browser owns its text: the server never writes into it while somebody types.
// What was sent stays in an outbox until the server has it, so a lost connection or a reload sends it again
// under the same id, which is asked once.
import { h } from "vue";

const MAX_BYTES = 900_000; // of one message: NiceGUI's socket takes a million, with all that is around the text

const ICONS = {
  send: "M12 19V5m-6 6l6-6 6 6",
  stop: "M8 8h8v8H8z",
  tune: "M4 8h9m5 0h2M4 16h2m5 0h9M13 8a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0M6 16a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0",
  close: "M6 6l12 12M18 6L6 18",
};
const icon = (name) =>
  h("svg", { viewBox: "0 0 24 24", width: 20, height: 20, class: "ws-icon", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

// Where keys are on the screen there is no Shift+Enter.
const IS_TOUCH = () => matchMedia("(hover: none) and (pointer: coarse)").matches;

// How this browser is used: "true" or "false".
function preferred(key, otherwise) {
  try {
    const kept = localStorage.getItem("wireside." + key);
    return kept === null ? otherwise : kept === "true";
  } catch {
    return otherwise;
  }
}

const SETTINGS = ["system", "temperature", "max_tokens"];

const memory = {
  read(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem("wireside." + key)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  write(key, value) {
    try {
      const isEmpty = value === "" || value === null || (Array.isArray(value) && !value.length);
      isEmpty ? localStorage.removeItem("wireside." + key) : localStorage.setItem("wireside." + key, JSON.stringify(value));
    } catch {}
  },
};

export default {
  props: { conversation: String, lost: String, base: String, maxChars: Number, isReader: Boolean, words: Object },
  emits: ["send", "stop", "edit-last", "open"],
  data() {
    return {
      id: this.conversation, // "" for a new one
      text: "",
      outbox: [],
      isAnswering: false,
      isConnected: true,
      notice: "",
      waitS: 0, // seconds until what was refused may be tried again
      isSalvaged: false,
      allowance: "", // what is left of the limits, when that is little
      editing: "",
      open: false,
      settings: memory.read("settings", {}),
      enterSends: preferred("enter_sends", !IS_TOUCH()),
      readsOut: preferred("read_out", true),
    };
  },
  computed: {
    chars() {
      // most texts are short enough in any case: do not take them apart at each key
      return this.text.length <= this.maxChars ? this.text.length : [...this.text].length;
    },
    tooLong() {
      return this.chars > this.maxChars || (this.text.length > MAX_BYTES / 6 && bytes(this.text) > MAX_BYTES);
    },
    canSend() {
      return Boolean(this.text.trim()) && this.isConnected && !this.tooLong && !this.isReader;
    },
    stops() {
      return this.isAnswering && !this.text.trim();
    },
    warning() {
      if (this.notice) return this.notice;
      if (this.tooLong) return this.tooLongText();
      return this.isConnected ? "" : this.words.offline_hint;
    },
    hint() {
      const w = this.words;
      if (this.warning) return h("span", { class: "ws-hint-shown" }, [this.warning, this.countdown]);
      if (this.allowance) return h("span", { class: "ws-hint-calm", "data-testid": "allowance" }, this.allowance);
      return this.isSalvaged ? h("span", { class: "ws-hint-calm" }, w.salvaged) : w.disclaimer;
    },
    countdown() {
      if (!this.notice || !this.waitS) return null;
      const sentence = this.words.try_in.replace("{time}", duration(this.waitS));
      // said once with the notice, not again each second
      return h("span", { "data-testid": "countdown", "aria-live": "off" }, ` ${sentence}`);
    },
    hasSettings() {
      return SETTINGS.some((name) => String(this.settings[name] ?? "").trim());
    },
  },
  created() {
    if (this.lost) this.salvage(this.lost);
    this.load();
  },
  mounted() {
    window.addEventListener("wireside:ask", this.onAsk);
    window.addEventListener("wireside:open", this.onOpen);
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
    window.removeEventListener("wireside:ask", this.onAsk);
    window.removeEventListener("wireside:open", this.onOpen);
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
          dir: this.text ? "auto" : undefined, // the placeholder reads as the page does
          enterkeyhint: this.enterSends ? "send" : "enter",
          autocomplete: "off",
          onInput: (e) => this.setText(e.target.value),
          onKeydown: this.onKey,
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
      this.keep(this.text, this.outbox);
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
      else if (wasWaiting) this.notice = ""; // it may be tried again
    },
    setAnswering(isAnswering) {
      this.isAnswering = isAnswering;
    },
    putBack(question) {
      this.setText(this.text.trim() ? `${question}\n${this.text}` : question);
      this.$refs.box.focus();
    },
    edit(turnId, question) {
      if (!this.editing) this.beforeEditing = this.text;
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
      this.$nextTick(this.grow);
    },

    // ---- text ----------------------------------------------------------------------------------
    load() {
      this.text = memory.read("draft." + this.id, "");
      this.outbox = memory.read("outbox." + this.id, []);
    },
    keep(text, outbox) {
      memory.write("draft." + this.id, text);
      memory.write("outbox." + this.id, outbox);
    },
    // What was written in a conversation that is not there any more goes on in a new one; what it was
    // an answer to is gone, so nothing of it is sent by itself.
    salvage(id) {
      const unsent = memory.read("outbox." + id, []).map((item) => item.question);
      const texts = [...unsent, memory.read("draft." + id, ""), memory.read("draft.", "")].filter((text) => text.trim());
      this.isSalvaged = texts.length > 0;
      memory.write("draft.", [...new Set(texts)].join("\n"));
      memory.write("draft." + id, "");
      memory.write("outbox." + id, []);
    },
    // The box that was drawn before this script had come: what was typed there goes on here.
    takeOver() {
      const early = window.wiresideShell?.takeOver();
      const box = this.$refs.box;
      if (early?.text) this.setText(early.text);
      if (early?.hasFocus || matchMedia("(hover: hover)").matches) box.focus({ preventScroll: true });
      if (early?.text && early.hasFocus) this.$nextTick(() => box.setSelectionRange(...early.selection));
      if (early?.sends) this.whenConnected(this.submit);
      if (early?.asks) this.whenConnected(() => this.onAsk({ detail: early.asks }));
    },
    setText(text) {
      this.text = text;
      if (!this.waitS) this.notice = "";
      this.isSalvaged = false;
      if (!this.editing) memory.write("draft." + this.id, text);
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
    // a phone's keyboard lies over the page where the browser does not make the page smaller itself
    onViewport() {
      const { height, offsetTop, scale } = window.visualViewport;
      if (scale > 1.01) return; // somebody looks closer
      const hidden = Math.max(0, Math.round(window.innerHeight - height - offsetTop));
      document.documentElement.style.setProperty("--ws-keyboard", (hidden > 80 ? hidden : 0) + "px");
    },

    // ---- which conversation --------------------------------------------------------------------
    address(id) {
      return id ? `${this.base}/c/${id}` : `${this.base}/`;
    },
    // The detail of the event is a conversation, "" for a new one, or "ID?turn=TURN".
    onOpen(e) {
      if (!this.isConnected) return; // the words under the box say so
      const [id, query] = e.detail.split("?");
      const turn = new URLSearchParams(query).get("turn");
      const address = this.address(id) + (turn ? `?turn=${turn}` : "");
      if (location.pathname + location.search !== address) history.pushState(null, "", address);
      this.show(id, turn);
      if (!turn && matchMedia("(hover: hover)").matches) this.$refs.box.focus({ preventScroll: true });
    },
    onHistory() {
      const path = location.pathname.slice(this.base.length);
      this.show(path.startsWith("/c/") ? path.slice(3) : "", new URLSearchParams(location.search).get("turn"));
    },
    show(id, turn) {
      this.editing = "";
      this.tell("");
      this.id = id;
      this.load();
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
      this.editing = "";
      this.setText(edits ? this.beforeEditing || "" : "");
      this.send(text, edits);
    },
    send(question, edits = null) {
      const item = { turn_id: newId(), question, edits, options: this.chosenOptions() };
      this.outbox.push(item);
      memory.write("outbox." + this.id, this.outbox);
      this.emitSend(item);
    },
    emitSend(item) {
      this.$emit("send", item);
    },
    // Returns what was sent, if it was sent from the conversation that is shown.
    dropFromOutbox(turnId) {
      const item = this.outbox.find((other) => other.turn_id === turnId);
      this.outbox = this.outbox.filter((other) => other !== item);
      memory.write("outbox." + this.id, this.outbox);
      if (!item) dropElsewhere(turnId);
      return item;
    },
    whenConnected(then) {
      window.socket?.connected && window.did_handshake ? then() : setTimeout(() => this.whenConnected(then), 20);
    },
    onAsk(e) {
      if (this.id || !this.outbox.length) this.send(e.detail); // a starter that was clicked twice is meant once
    },
    onConnection(e) {
      this.isConnected = e.detail === "connected" || e.detail === "connecting";
      // what was on its way when the line broke: asked once, however often it is sent
      if (e.detail === "connected") this.whenConnected(() => this.outbox.forEach(this.emitSend));
    },
    onKey(e) {
      if (e.isComposing || e.keyCode === 229) return; // Enter ends a word of an input method
      const isForced = e.ctrlKey || e.metaKey;
      if (e.key === "Enter" && !e.shiftKey && (this.enterSends || isForced)) {
        e.preventDefault();
        this.submit();
      } else if ((e.key === "PageUp" || e.key === "PageDown") && !e.shiftKey && !isForced && !e.altKey) {
        const { scrollHeight, clientHeight } = this.$refs.box;
        if (scrollHeight > clientHeight + 1) return; // the box has pages of its own
        e.preventDefault();
        window.dispatchEvent(new CustomEvent("wireside:scroll", { detail: e.key === "PageDown" ? 1 : -1 }));
      } else if (e.key === "ArrowUp" && !this.text) {
        e.preventDefault();
        this.$emit("edit-last");
      }
    },
    onPageKey(e) {
      if (e.defaultPrevented || e.isComposing || document.querySelector("dialog[open]")) return;
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
        this.$refs.box.focus({ preventScroll: true }); // this button goes
      };
      return h("button", { type: "button", class: "ws-send", "data-testid": "button-stop", "aria-label": w.stop, title: w.stop, onClick: stop }, icon("stop"));
    },

    // ---- settings of the model -----------------------------------------------------------------
    chosenOptions() {
      const { temperature, max_tokens, system } = this.settings;
      let model = null;
      try {
        model = localStorage.getItem("wireside.model") || null;
      } catch {}
      return {
        model,
        system: system?.trim() ? system : null,
        temperature: temperature === "" || temperature === undefined ? null : Number(temperature),
        max_tokens: max_tokens ? Math.trunc(Number(max_tokens)) : null,
      };
    },
    set(name, value) {
      this.settings = { ...this.settings, [name]: value };
      memory.write("settings", this.settings);
    },
    forgetSettings() {
      this.settings = {};
      memory.write("settings", null);
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
      const leave = (e) => e.relatedTarget && !this.$refs.options.contains(e.relatedTarget) && (this.open = false);
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
      const number = { type: "number", placeholder: w.by_default, onKeydown: (e) => e.key === "Enter" && (e.preventDefault(), this.closeOptions()) };
      return h("div", { class: "ws-menu ws-panel", role: "dialog", "aria-label": w.settings }, [
        field("system", "textarea", { rows: 3, placeholder: w.system_placeholder, maxlength: 20000, dir: "auto" }),
        h("div", { class: "ws-pair" }, [
          field("temperature", "input", { ...number, min: 0, max: 2, step: 0.1, inputmode: "decimal" }),
          field("max_tokens", "input", { ...number, min: 1, max: 1000000, step: 1, inputmode: "numeric" }),
        ]),
        h("div", { class: "ws-panel-foot" }, [
          h("small", w.settings_note),
          h("button", { type: "button", class: "ws-button", disabled: !this.hasSettings, onClick: this.forgetSettings }, w.reset),
        ]),
        this.preferences(),
      ]);
    },

    // ---- how this browser is used ---------------------------------------------------------------
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
      } catch {} // it counts until the page is left
      window.dispatchEvent(new CustomEvent("wireside:preferences"));
    },
  },
};

function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((b) => b.toString(16).padStart(2, "0")).join("");
}

// A time to wait, as its language says it: "12 seconds", "3 minutes".
function duration(seconds) {
  const [unit, length] = seconds < 120 ? ["second", 1] : seconds < 7200 ? ["minute", 60] : ["hour", 3600];
  const style = { style: "unit", unit, unitDisplay: "long" };
  return new Intl.NumberFormat(document.documentElement.lang, style).format(Math.ceil(seconds / length));
}

function bytes(text) {
  return new TextEncoder().encode(JSON.stringify(text)).length;
}

// An acknowledgement that came after another conversation was opened.
function dropElsewhere(turnId) {
  try {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith("wireside.outbox.")) continue;
      const name = key.slice("wireside.".length);
      memory.write(
        name,
        memory.read(name, []).filter((item) => item.turn_id !== turnId),
      );
    }
  } catch {}
}
