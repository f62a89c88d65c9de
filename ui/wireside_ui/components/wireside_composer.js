// The box at the bottom. The browser owns its text: the server never writes into it while somebody types.
// What was sent stays in an outbox until the server has it, so a lost connection or a reload sends it again
// under the same id, which is asked once.
import { h } from "vue";

const ICONS = {
  send: "M12 19V5m-6 6l6-6 6 6",
  stop: "M8 8h8v8H8z",
  tune: "M4 8h9m5 0h2M4 16h2m5 0h9M13 8a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0M6 16a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0",
  close: "M6 6l12 12M18 6L6 18",
};
const icon = (name) =>
  h("svg", { viewBox: "0 0 24 24", width: 20, height: 20, class: "ws-icon", "aria-hidden": "true" }, h("path", { d: ICONS[name] }));

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
  props: { conversation: String, base: String, maxChars: Number, words: Object },
  emits: ["send", "stop", "edit-last"],
  data() {
    return {
      id: this.conversation,
      text: "",
      outbox: [],
      isAnswering: false,
      isConnected: true,
      notice: "",
      editing: "",
      open: false,
      settings: memory.read("settings", {}),
    };
  },
  computed: {
    tooLong() {
      return [...this.text].length > this.maxChars;
    },
    canSend() {
      return Boolean(this.text.trim()) && this.isConnected && !this.tooLong;
    },
  },
  created() {
    this.text = memory.read("draft." + this.id, "");
    this.outbox = memory.read("outbox." + this.id, []);
  },
  mounted() {
    window.addEventListener("wireside:ask", this.onAsk);
    window.addEventListener("wireside:connection", this.onConnection);
    document.addEventListener("keydown", this.onPageKey);
    document.addEventListener("click", this.closeOutside);
    this.observer = new ResizeObserver(() =>
      document.documentElement.style.setProperty("--ws-composer-height", this.$el.offsetHeight + "px"),
    );
    this.observer.observe(this.$el);
    this.grow();
    if (matchMedia("(hover: hover)").matches) this.$refs.box.focus({ preventScroll: true });
    this.whenConnected(() => this.outbox.forEach((item) => this.emitSend(item)));
  },
  unmounted() {
    window.removeEventListener("wireside:ask", this.onAsk);
    window.removeEventListener("wireside:connection", this.onConnection);
    document.removeEventListener("keydown", this.onPageKey);
    document.removeEventListener("click", this.closeOutside);
    this.observer.disconnect();
  },
  render() {
    const w = this.words;
    const stops = this.isAnswering && !this.text.trim();
    const hint = this.notice || (this.tooLong ? this.tooLongText() : "") || (this.isConnected ? "" : w.offline_hint);
    return h("footer", { class: "ws-composer" }, [
      h("form", { class: "ws-box", onSubmit: (e) => (e.preventDefault(), this.submit()) }, [
        this.editing
          ? h("div", { class: "ws-editing" }, [
              h("span", w.editing),
              h("button", { type: "button", class: "ws-tool", "aria-label": w.cancel, onClick: this.stopEditing }, icon("close")),
            ])
          : null,
        h("textarea", {
          ref: "box",
          rows: 1,
          value: this.text,
          placeholder: w.placeholder,
          "aria-label": w.placeholder,
          "aria-describedby": "ws-hint",
          "data-testid": "input-chat",
          dir: "auto",
          enterkeyhint: "send",
          autocomplete: "off",
          onInput: (e) => this.setText(e.target.value),
          onKeydown: this.onKey,
        }),
        h("div", { class: "ws-bar" }, [
          this.options(),
          h("span", { class: "ws-space" }),
          stops
            ? h(
                "button",
                { type: "button", class: "ws-send", "data-testid": "button-stop", "aria-label": w.stop, title: w.stop, onClick: () => this.$emit("stop") },
                icon("stop"),
              )
            : h(
                "button",
                {
                  type: "submit",
                  class: "ws-send",
                  "data-testid": "button-send",
                  "aria-label": w.send,
                  title: this.isConnected ? w.send : w.offline_hint,
                  disabled: !this.canSend,
                },
                icon("send"),
              ),
        ]),
      ]),
      h("p", { id: "ws-hint", class: ["ws-hint", hint && "ws-hint-shown"], role: "status" }, hint || w.disclaimer),
    ]);
  },
  methods: {
    // ---- called by the server ------------------------------------------------------------------
    accepted(turnId, conversationId) {
      this.dropFromOutbox(turnId);
      if (!this.id) {
        this.id = conversationId;
        history.replaceState(history.state, "", `${this.base}/c/${conversationId}`);
        memory.write("draft.", "");
        memory.write("outbox.", []);
        memory.write("draft." + this.id, this.text);
        memory.write("outbox." + this.id, this.outbox);
      }
    },
    refused(turnId, sentence) {
      const item = this.dropFromOutbox(turnId);
      if (item) this.putBack(item.question);
      this.notice = sentence;
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

    // ---- text ----------------------------------------------------------------------------------
    setText(text) {
      this.text = text;
      this.notice = "";
      if (!this.editing) memory.write("draft." + this.id, text);
      this.$nextTick(this.grow);
    },
    grow() {
      const box = this.$refs.box;
      box.style.height = "auto";
      box.style.height = box.scrollHeight + "px"; // bounded by max-height in the style sheet
    },
    tooLongText() {
      const over = [...this.text].length - this.maxChars;
      return this.words.too_long.replace("{over}", over.toLocaleString()).replace("{limit}", this.maxChars.toLocaleString());
    },
    stopEditing() {
      this.editing = "";
      this.setText(this.beforeEditing || "");
      this.$refs.box.focus();
    },

    // ---- sending -------------------------------------------------------------------------------
    submit() {
      if (!this.canSend) return;
      const text = this.text;
      const edits = this.editing || null;
      this.editing = "";
      this.setText("");
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
    dropFromOutbox(turnId) {
      const item = this.outbox.find((other) => other.turn_id === turnId);
      this.outbox = this.outbox.filter((other) => other !== item);
      memory.write("outbox." + this.id, this.outbox);
      return item;
    },
    whenConnected(then) {
      window.socket?.connected && window.did_handshake ? then() : setTimeout(() => this.whenConnected(then), 20);
    },
    onAsk(e) {
      this.whenConnected(() => this.send(e.detail));
    },
    onConnection(e) {
      this.isConnected = e.detail === "connected" || e.detail === "connecting";
      // what was on its way when the line broke: asked once, however often it is sent
      if (e.detail === "connected") this.whenConnected(() => this.outbox.forEach((item) => this.emitSend(item)));
    },
    onKey(e) {
      if (e.isComposing || e.keyCode === 229) return;
      if (e.key === "Enter" && !e.shiftKey) {
        e.preventDefault();
        this.submit();
      } else if (e.key === "ArrowUp" && !this.text) {
        e.preventDefault();
        this.$emit("edit-last");
      }
    },
    onPageKey(e) {
      if (e.key === "Escape" && !e.defaultPrevented && !document.querySelector("dialog[open]")) {
        if (this.open) this.open = false;
        else if (this.editing) this.stopEditing();
        else if (this.isAnswering) this.$emit("stop");
      } else if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.target.closest?.("input, textarea, [contenteditable]")) {
        e.preventDefault();
        this.$refs.box.focus();
      }
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
    closeOutside(e) {
      if (this.open && !e.target.closest?.(".ws-options")) this.open = false;
    },
    options() {
      const w = this.words;
      const changed = ["system", "temperature", "max_tokens"].some((name) => String(this.settings[name] ?? "").trim());
      const field = (name, label, input) => h("label", [h("span", label), h(input.tag, { ...input, tag: undefined, value: this.settings[name] ?? "", onInput: (e) => this.set(name, e.target.value) })]);
      return h("div", { class: "ws-menu-anchor ws-options" }, [
        h(
          "button",
          {
            type: "button",
            class: ["ws-tool", changed && "ws-changed"],
            "data-testid": "options",
            "aria-label": w.settings,
            title: w.settings,
            "aria-expanded": String(this.open),
            onClick: () => (this.open = !this.open),
          },
          icon("tune"),
        ),
        this.open
          ? h("div", { class: "ws-menu ws-panel", role: "group", "aria-label": w.settings }, [
              field("system", w.system, { tag: "textarea", rows: 3, placeholder: w.system_placeholder, maxlength: 20000 }),
              field("temperature", w.temperature, { tag: "input", type: "number", min: 0, max: 2, step: 0.1, placeholder: w.by_default }),
              field("max_tokens", w.max_tokens, { tag: "input", type: "number", min: 1, max: 1000000, step: 1, placeholder: w.by_default }),
            ])
          : null,
      ]);
    },
  },
};

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}
