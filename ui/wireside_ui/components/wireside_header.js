// The bar at the top. Everything in it works in the browser; the server only sends the models.
import { h } from "vue";

const ICONS = {
  chevron: "M6 9l6 6 6-6",
  check: "M5 12.5l4.5 4.5L19 7.5",
  sun: "M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7l1.4-1.4M4.9 19.1l1.4-1.4m11.4 0l1.4 1.4M4.9 4.9l1.4 1.4M16 12a4 4 0 11-8 0 4 4 0 018 0z",
  moon: "M20 14.5A8 8 0 019.5 4 8 8 0 1020 14.5z",
  auto: "M12 3a9 9 0 100 18V3z M12 3a9 9 0 010 18",
  plus: "M12 5v14M5 12h14",
  help: "M3 12a9 9 0 1018 0 9 9 0 10-18 0M9.6 9.4a2.5 2.5 0 014.9.7c0 1.700-2.500 2.100-2.500 3.700M12 16.900v.1",
};
const THEMES = ["system", "light", "dark"];
const DISCONNECTED_MS = 3000;
const PING_MS = 5000;

function icon(name) {
  return h(
    "svg",
    { viewBox: "0 0 24 24", width: 20, height: 20, class: "ws-icon", "aria-hidden": "true" },
    h("path", { d: ICONS[name] }),
  );
}

// What stays the browser's: a private window without storage just forgets.
const store = {
  get(key) {
    try {
      return localStorage.getItem("wireside." + key) || "";
    } catch {
      return "";
    }
  },
  set(key, value) {
    try {
      value ? localStorage.setItem("wireside." + key, value) : localStorage.removeItem("wireside." + key);
    } catch {}
  },
};

export default {
  props: { name: String, base: String, words: Object },
  data: () => ({
    models: null,
    problem: "",
    model: store.get("model"),
    open: "", // which menu is open
    theme: "system",
    connection: "connecting", // connected, reconnecting, disconnected
    attempts: 0,
    reconnects: 0,
    latencies: [],
    rate: 0,
  }),
  render() {
    const w = this.words;
    return h("header", { class: "ws-header" }, [
      h("a", { class: "ws-brand", href: this.base + "/" }, [
        h("img", { src: this.base + "/logo", alt: "", width: 28, height: 28 }),
        h("h1", this.name),
      ]),
      this.picker(),
      h("span", { class: "ws-space" }),
      this.status(),
      h(
        "button",
        {
          type: "button",
          class: "ws-tool",
          "data-testid": "theme-toggle",
          "aria-label": `${w.theme}: ${w["theme_" + this.theme]}`,
          title: `${w.theme}: ${w["theme_" + this.theme]}`,
          onClick: this.nextTheme,
        },
        icon({ system: "auto", light: "sun", dark: "moon" }[this.theme]),
      ),
      h(
        "button",
        { type: "button", class: "ws-tool ws-wide", "aria-label": w.shortcuts, title: w.shortcuts, onClick: () => this.help() },
        icon("help"),
      ),
      h(
        "a",
        { class: "ws-tool", href: this.base + "/", "data-testid": "new-chat", "aria-label": w.new_chat, title: w.new_chat },
        icon("plus"),
      ),
      this.sheet(),
    ]);
  },
  mounted() {
    this.theme = window.wiresideTheme?.() || "system";
    document.addEventListener("click", this.closeOutside);
    document.addEventListener("keydown", this.onKey);
    this.hookSocket();
  },
  unmounted() {
    document.removeEventListener("click", this.closeOutside);
    document.removeEventListener("keydown", this.onKey);
    clearInterval(this.timer);
    clearTimeout(this.darkening);
  },
  methods: {
    setModels(models) {
      this.models = models;
      this.problem = "";
      if (!models.some((m) => m.id === this.model)) this.choose("");
    },
    setProblem(sentence) {
      this.problem = sentence;
    },
    choose(id) {
      this.model = id;
      store.set("model", id);
      this.open = "";
    },
    picker() {
      const w = this.words;
      const chosen = this.models?.find((m) => m.id === this.model) || this.models?.[0];
      const label = this.problem ? w.no_model : chosen ? chosen.name : w.loading_models;
      const isOpen = this.open === "models";
      return h("div", { class: "ws-menu-anchor" }, [
        h(
          "button",
          {
            type: "button",
            class: "ws-picker",
            "data-testid": "model-picker",
            "aria-haspopup": "listbox",
            "aria-expanded": String(isOpen),
            "aria-label": `${w.model}: ${label}`,
            title: this.problem || undefined,
            disabled: !this.models || this.models.length < 2,
            onClick: () => this.toggle("models"),
          },
          [h("span", label), this.models?.length > 1 ? icon("chevron") : null],
        ),
        isOpen
          ? h(
              "ul",
              { class: "ws-menu", role: "listbox", "aria-label": w.model, onKeydown: this.onMenuKey },
              this.models.map((m) =>
                h(
                  "li",
                  {
                    role: "option",
                    tabindex: 0,
                    "aria-selected": String(m.id === chosen.id),
                    onClick: () => this.choose(m.id),
                    onKeydown: (e) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), this.choose(m.id)),
                  },
                  [h("span", m.name), m.id === chosen.id ? icon("check") : null],
                ),
              ),
            )
          : null,
      ]);
    },
    status() {
      const w = this.words;
      const label = {
        connecting: w.connecting,
        connected: w.connected,
        reconnecting: `${w.reconnecting} (${this.attempts})`,
        disconnected: w.disconnected,
      }[this.connection];
      const isOpen = this.open === "status";
      const average = this.latencies.length
        ? Math.round(this.latencies.reduce((a, b) => a + b, 0) / this.latencies.length)
        : null;
      return h("div", { class: "ws-menu-anchor" }, [
        h(
          "button",
          {
            type: "button",
            class: "ws-status",
            "data-testid": "connection-status",
            "data-state": this.connection,
            "aria-expanded": String(isOpen),
            onClick: () => this.toggle("status"),
          },
          [h("span", { class: "ws-dot" }), h("span", { class: "ws-status-label", role: "status" }, label)],
        ),
        isOpen
          ? h("dl", { class: "ws-menu ws-metrics", "aria-label": w.connection }, [
              h("dt", w.messages_per_second),
              h("dd", { "data-testid": "metric-rate" }, this.rate.toFixed(1)),
              h("dt", w.average_latency),
              h("dd", { "data-testid": "metric-latency" }, average === null ? "–" : `${average} ms`),
              h("dt", w.reconnect_count),
              h("dd", { "data-testid": "metric-reconnects" }, String(this.reconnects)),
            ])
          : null,
      ]);
    },
    sheet() {
      const w = this.words;
      const rows = [
        ["Enter", w.key_send],
        ["Shift Enter", w.key_newline],
        ["Esc", w.key_stop],
        ["↑", w.key_edit],
        ["/", w.key_focus],
        ["?", w.shortcuts],
      ];
      return h("dialog", { class: "ws-sheet", ref: "sheet", "aria-label": w.shortcuts, onClick: (e) => e.target === this.$refs.sheet && this.$refs.sheet.close() }, [
        h("h2", w.shortcuts),
        h("dl", rows.flatMap(([key, what]) => [h("dt", key.split(" ").map((k) => h("kbd", k))), h("dd", what)])),
        h("form", { method: "dialog" }, h("button", { class: "ws-button" }, w.close)),
      ]);
    },
    help() {
      this.open = "";
      this.$refs.sheet.showModal();
    },
    nextTheme() {
      this.theme = window.wiresideTheme(THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]);
    },
    toggle(menu) {
      this.open = this.open === menu ? "" : menu;
      if (this.open === "models")
        this.$nextTick(() => this.$el.querySelector("[aria-selected=true]")?.focus());
    },
    closeOutside(e) {
      if (this.open && !e.target.closest?.(".ws-menu-anchor")) this.open = "";
    },
    onMenuKey(e) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      if (!step) return;
      e.preventDefault();
      const items = [...e.currentTarget.children];
      items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
    },
    onKey(e) {
      if (e.key === "Escape" && this.open) {
        this.open = "";
        e.stopPropagation();
      } else if (e.key === "?" && !e.target.closest?.("input, textarea, [contenteditable]")) {
        e.preventDefault();
        this.help();
      }
    },

    // ---- the connection: NiceGUI's own socket, watched -----------------------------------------
    hookSocket() {
      const socket = window.socket;
      if (!socket?.io) return setTimeout(() => this.hookSocket(), 10);
      // the guide's back-off, min(1000 * 2**n, 30000), with jitter
      socket.io.reconnectionDelay(1000);
      socket.io.reconnectionDelayMax(30000);
      socket.io.randomizationFactor(0.5);
      let messages = 0;
      socket.onAny(() => messages++);
      socket.onAnyOutgoing((event) => event !== "wireside_ping" && messages++);
      const window_ = [];
      let since = 0;
      this.timer = setInterval(() => {
        window_.push(messages);
        messages = 0;
        if (window_.length > 5) window_.shift();
        this.rate = window_.reduce((a, b) => a + b, 0) / window_.length;
        if ((since += 1000) >= PING_MS || !this.latencies.length) {
          since = 0;
          this.measure();
        }
      }, 1000);
      socket.on("connect", () => this.onConnect());
      socket.on("disconnect", () => this.onDisconnect());
      socket.io.on("reconnect_attempt", (n) => {
        this.attempts = n;
        if (this.connection !== "connected") this.setConnection("reconnecting");
      });
      socket.io.on("reconnect", () => this.reconnects++);
      addEventListener("online", () => !socket.connected && socket.connect());
      document.addEventListener("visibilitychange", () => {
        if (!document.hidden && !socket.connected) socket.connect();
      });
      if (socket.connected) this.onConnect();
    },
    onConnect() {
      clearTimeout(this.darkening);
      this.attempts = 0;
      this.setConnection("connected");
    },
    onDisconnect() {
      this.attempts = 1;
      clearTimeout(this.darkening);
      this.setConnection("reconnecting");
      this.darkening = setTimeout(() => this.connection !== "connected" && this.setConnection("disconnected"), DISCONNECTED_MS);
    },
    setConnection(state) {
      // once it was told that the page is off, trying again is no news
      if (state === "reconnecting" && this.connection === "disconnected") return;
      this.connection = state;
      window.dispatchEvent(new CustomEvent("wireside:connection", { detail: state }));
    },
    measure() {
      const socket = window.socket;
      if (!socket.connected || document.hidden) return;
      const began = performance.now();
      socket.timeout(PING_MS).emit("wireside_ping", (error) => {
        if (error) return;
        this.latencies.push(performance.now() - began);
        if (this.latencies.length > 12) this.latencies.shift();
      });
    },
  },
};
