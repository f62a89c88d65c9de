// @ts-check
// The connection status: watches NiceGUI's own socket. Notifies the other components by the event `wireside:connection`.
import { h } from "vue";

const DISCONNECTED_MS = 3000; // shorter interruptions are not shown
const PING_MS = 5000;
const PINGS = 12; // number of pings in the average latency
const RATE_S = 5; // window of the message rate

export default /** @satisfies {ComponentOptions<Status>} */ ({
  props: { base: String, words: Object },
  emits: ["visible"],
  data: () => ({
    open: false,
    connection: "connecting", // connected, reconnecting, disconnected
    attempts: 0,
    reconnects: 0,
    latencies: [],
    rate: 0,
  }),
  computed: {
    label() {
      const w = this.words;
      if (this.connection === "reconnecting")
        return `${w.reconnecting} (${Math.max(this.attempts, 1)})`;
      return w[this.connection];
    },
  },
  render() {
    const w = this.words;
    const toggle = () => (this.open = !this.open);
    return h(
      "div",
      { class: "ws-menu-anchor ws-status", onKeydown: this.onKey, onFocusout: this.onLeave },
      [
        h(
          "button",
          {
            ref: "button",
            type: "button",
            class: "ws-text-tool ws-status-button",
            "data-testid": "connection-status",
            "data-state": this.connection,
            "aria-haspopup": "dialog",
            "aria-expanded": String(this.open),
            title: this.label,
            onClick: toggle,
          },
          [
            h("span", { class: "ws-status-dot" }),
            h("span", { class: "ws-status-label" }, this.label),
          ],
        ),
        h(
          "span",
          { class: "ws-unseen", "aria-live": "polite" },
          this.connection === "connecting" ? "" : w[this.connection],
        ),
        this.open ? this.panel() : null,
      ],
    );
  },
  mounted() {
    document.addEventListener("click", this.onOutside);
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("online", this.connectNow);
    this.hookSocket();
  },
  unmounted() {
    document.removeEventListener("click", this.onOutside);
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("online", this.connectNow);
    clearInterval(this.timer);
    clearTimeout(this.hooking);
    clearTimeout(this.darkening);
  },
  methods: {
    panel() {
      const w = this.words;
      const average = this.latencies.reduce((a, b) => a + b, 0) / this.latencies.length;
      /**
       * @param {number} value
       * @param {number} digits
       */
      const number = (value, digits) =>
        value.toLocaleString(undefined, {
          minimumFractionDigits: digits,
          maximumFractionDigits: digits,
        });
      const rows = [
        ["metric-rate", w.messages_per_second, number(this.rate, 1)],
        [
          "metric-latency",
          w.average_latency,
          this.latencies.length ? `${number(average, average < 10 ? 1 : 0)} ms` : "–",
        ],
        ["metric-reconnects", w.reconnect_count, number(this.reconnects, 0)],
      ];
      const isOff = this.connection === "reconnecting" || this.connection === "disconnected";
      return h(
        "div",
        { class: "ws-menu ws-status-metrics", role: "dialog", "aria-label": w.connection },
        [
          h(
            "dl",
            rows.flatMap(([id, name, value]) => [
              h("dt", name),
              h("dd", { "data-testid": id, dir: "ltr" }, value),
            ]),
          ),
          isOff
            ? h(
                "button",
                {
                  type: "button",
                  class: "ws-button",
                  "data-testid": "connect-now",
                  onClick: this.connectNow,
                },
                w.connect_now,
              )
            : null,
          h("a", { class: "ws-button", href: `${this.base}/doctor` }, w.doctor_title),
        ],
      );
    },
    /** @param {MouseEvent} e */
    onOutside(e) {
      if (this.open && !this.$el.contains(/** @type {Node} */ (e.target))) this.open = false;
    },
    /** @param {{ relatedTarget: Node | null }} e */
    onLeave(e) {
      if (this.open && e.relatedTarget && !this.$el.contains(e.relatedTarget)) this.open = false;
    },
    /** @param {KeyboardEvent} e */
    onKey(e) {
      if (e.key !== "Escape" || !this.open) return;
      e.preventDefault(); // closes this and does not stop an answer
      this.open = false;
      this.$refs.button.focus();
    },

    // ---- the socket ----------------------------------------------------------------------------
    hookSocket() {
      const socket = window.socket;
      if (!socket?.io) return (this.hooking = setTimeout(this.hookSocket, 10));
      // the guide's back-off, min(1000 * 2**n, 30000), with jitter, so that clients do not all reconnect at the same time
      socket.io.reconnectionDelay(1000);
      socket.io.reconnectionDelayMax(30000);
      socket.io.randomizationFactor(0.5);
      this.messages = 0;
      this.samples = [[performance.now(), 0]]; // [time, number of messages up to it]
      socket.onAny(() => this.messages++);
      socket.onAnyOutgoing((event) => event !== "wireside_ping" && this.messages++);
      this.timer = setInterval(this.everySecond, 1000);
      socket.on("connect", this.onConnect);
      socket.on("disconnect", this.onLost);
      socket.io.on("reconnect_attempt", () => {
        this.attempts++;
        this.setConnection("reconnecting");
      });
      socket.on("connect_error", this.onLost);
      if (socket.connected) this.onConnect();
    },
    everySecond() {
      // divides by the measured time: timers are late on a busy or hidden page
      const now = performance.now();
      const [since, before] = this.samples[0];
      if (this.samples.length >= RATE_S) this.samples.shift();
      this.samples.push([now, this.messages]);
      this.rate = (this.messages - before) / ((now - since) / 1000);
      if (now - (this.measuredAt ?? -PING_MS) >= PING_MS) this.measure();
    },
    measure() {
      const socket = window.socket;
      if (!socket?.connected || document.hidden) return; // a hidden page's timers are late
      const began = (this.measuredAt = performance.now());
      socket.timeout(PING_MS).emit("wireside_ping", (error) => {
        if (error) return;
        this.latencies.push(performance.now() - began);
        if (this.latencies.length > PINGS) this.latencies.shift();
      });
    },
    onConnect() {
      clearTimeout(this.darkening);
      this.darkening = undefined;
      if (this.wasConnected) this.reconnects++;
      this.wasConnected = true;
      this.attempts = 0;
      this.setConnection("connected");
      if (document.hidden) this.$emit("visible", false);
    },
    onLost() {
      this.askWhoIAm();
      this.darkening ??= setTimeout(() => this.setConnection("disconnected"), DISCONNECTED_MS);
      this.setConnection("reconnecting");
    },
    // The connection may be lost because the user was signed out; then reconnecting can't succeed.
    async askWhoIAm() {
      if (this.isAsking) return;
      this.isAsking = true;
      try {
        const response = await fetch(`${this.base}/api/me`, { cache: "no-store" });
        if (response.status === 401) location.reload(); // the server redirects to the sign-in
      } catch {
        // no server: the connection status shows it
      } finally {
        this.isAsking = false;
      }
    },
    // Reconnects without waiting for the back-off, when the user asks for it or the device is online again.
    connectNow() {
      const socket = window.socket;
      if (!socket || socket.connected) return;
      socket.disconnect(); // ends the back-off
      socket.connect();
    },
    onVisibility() {
      if (!document.hidden) this.connectNow();
      if (window.socket?.connected) this.$emit("visible", !document.hidden);
    },
    /** @param {string} state */
    setConnection(state) {
      // while the page is shown as disconnected, further attempts are not shown
      if (
        state === this.connection ||
        (state === "reconnecting" && this.connection === "disconnected")
      )
        return;
      this.connection = state;
      window.dispatchEvent(new CustomEvent("wireside:connection", { detail: state }));
    },
  },
});
