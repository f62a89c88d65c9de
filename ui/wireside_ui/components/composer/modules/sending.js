// @ts-check
// Sending: the outbox keeps a question until the server acknowledges it.
import { h } from "vue";
import { isChosenModelGone } from "wireside-kit/choice.js";
import * as drafts from "wireside-kit/drafts.js";
import { icon } from "wireside-kit/icons.js";
import { isComposing, isTypedIn, keyNames } from "wireside-kit/keyboard.js";

function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * Formats a waiting time in the page's language: "12 seconds", "3 minutes".
 * @param {number} seconds
 */
export function duration(seconds) {
  const { unit, length } =
    seconds < 120
      ? { unit: "second", length: 1 }
      : seconds < 7200
        ? { unit: "minute", length: 60 }
        : { unit: "hour", length: 3600 };
  const format = new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit,
    unitDisplay: "long",
  });
  return format.format(Math.ceil(seconds / length));
}

/**
 * Handles an acknowledgement that arrives after another conversation was opened.
 * @param {string} turnId
 */
function dropElsewhere(turnId) {
  for (const [conversation, items] of drafts.all("outbox")) {
    if (items?.some((/** @type {OutboxItem} */ item) => item.turn_id === turnId)) {
      drafts.write(
        "outbox",
        conversation,
        items.filter((/** @type {OutboxItem} */ item) => item.turn_id !== turnId),
      );
    }
  }
}

/** @satisfies {ThisType<Composer>} */
export const sending = {
  /**
   * @param {string} turnId
   * @param {string} conversationId
   */
  accepted(turnId, conversationId) {
    if (this.waitS) this.tell("");
    const isHere = this.dropFromOutbox(turnId);
    if (!isHere || this.id || this.isTemporary) return;
    this.keep("", []);
    this.id = conversationId;
    this.keep(this.draft(), this.outbox);
    this.syncChoice();
    history.replaceState(history.state, "", this.address(conversationId));
  },

  /**
   * @param {string} turnId
   * @param {string} sentence
   * @param {number} [waitS]
   */
  refused(turnId, sentence, waitS) {
    const item = this.dropFromOutbox(turnId);
    if (!item) return;
    item.edits && !this.text.trim()
      ? this.edit(item.edits, item.question, item.files)
      : this.putBack(item.question, item.files);
    this.tell(sentence, waitS);
  },

  /**
   * @param {string} sentence
   * @param {number} [waitS]
   */
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

  /** @param {boolean} isAnswering */
  setAnswering(isAnswering) {
    this.isAnswering = isAnswering;
  },

  /** @param {string} sentence */
  allow(sentence) {
    this.allowance = sentence;
  },

  /** @param {SubmitEvent} e */
  onSubmit(e) {
    e.preventDefault();
    this.submit();
  },

  submit(steers = false) {
    if (!this.canSend) return;
    const text = this.text;
    const edits = this.editing || null;
    if (isChosenModelGone()) this.onModel(); // the displayed model becomes the choice
    this.send(text, edits, this.takeFiles(), steers && this.canSteer); // stored in the outbox before the box is cleared
    edits ? this.endEditing() : this.setText("");
  },

  /**
   * @param {string} question
   * @param {string | null} [edits] the turn that it replaces
   * @param {SentFile[]} [files]
   */
  send(question, edits = null, files = [], steers = false) {
    const attachments = files.map((file) => file.id);
    const options = this.optionsToSend();
    const once = Boolean(this.once);
    const temporary = this.isTemporary;
    const item = {
      turn_id: newId(),
      question,
      edits,
      options,
      attachments,
      files,
      temporary,
      once,
      steers,
      compared: edits ? [] : this.compared,
    };
    this.outbox.push(item);
    this.hasAsked = true;
    this.hasEnded = false;
    this.remember("outbox", this.outbox);
    if (!this.id && !temporary) drafts.writeHere("choice", "", null); // the question contains it
    if (once) this.keepChosen();
    this.once = "";
    if (!edits) this.compared = [];
    this.syncChoice();
    this.emitSend(item);
  },

  /** @param {OutboxItem} item */
  emitSend(item) {
    this.$emit("send", item);
  },

  /**
   * Returns the removed item, if it was sent from the conversation that is shown.
   * @param {string} turnId
   */
  dropFromOutbox(turnId) {
    const item = this.outbox.find((other) => other.turn_id === turnId);
    this.outbox = this.outbox.filter((other) => other !== item);
    this.remember("outbox", this.outbox);
    if (!item) dropElsewhere(turnId);
    return item;
  },

  /** @param {() => void} then */
  whenConnected(then) {
    window.socket?.connected && window.did_handshake
      ? then()
      : setTimeout(() => this.whenConnected(then), 20);
  },

  /** @param {{ detail: string }} e */
  onAsk(e) {
    if (this.invalid) return; // the hint under the box shows the reason
    if (this.id || !this.outbox.length) this.send(e.detail); // a double click on a starter sends one question
  },

  /** @param {CustomEvent<string>} e */
  onConnection(e) {
    this.isConnected = e.detail === "connected" || e.detail === "connecting";
    // sends the outbox again after a lost connection: the server processes each id once
    if (e.detail !== "connected") return;
    this.whenConnected(() => {
      this.syncChoice();
      this.outbox.forEach(this.emitSend);
    });
  },

  /** @param {KeyboardEvent} e */
  onKey(e) {
    if (isComposing(e)) return; // Enter ends the composition of an input method
    if (this.onPromptKey(e)) return;
    const isForced = e.ctrlKey || e.metaKey;
    if (e.key === "Enter" && !e.shiftKey && (this.enterSends || isForced)) {
      e.preventDefault();
      this.submit(isForced && this.enterSends);
    } else if (e.key === "Enter" && e.shiftKey && isForced) {
      e.preventDefault();
      this.submit(true);
    } else if (
      (e.key === "PageUp" || e.key === "PageDown") &&
      !e.shiftKey &&
      !isForced &&
      !e.altKey
    ) {
      const { scrollHeight, clientHeight } = this.$refs.box;
      if (scrollHeight > clientHeight + 1) return; // the box itself scrolls
      e.preventDefault();
      window.dispatchEvent(
        new CustomEvent("wireside:scroll", { detail: e.key === "PageDown" ? 1 : -1 }),
      );
    } else if (e.key === "ArrowUp" && !this.text) {
      e.preventDefault();
      this.$emit("edit-last");
    }
  },

  /** @param {KeyboardEvent} e */
  onPageKey(e) {
    if (e.defaultPrevented || isComposing(e) || document.querySelector("dialog[open]")) return;
    if (e.key === "Escape") {
      if (this.open) this.closeOptions();
      else if (this.isGaugeOpen) this.closeGauge();
      else if (this.voice === "asking" || this.voice === "recording") this.leaveVoice();
      else if (this.editing) this.stopEditing();
      else if (this.isAnswering) this.$emit("stop");
    } else if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !isTypedIn(e.target)) {
      e.preventDefault();
      this.$refs.box.focus();
    }
  },

  // While an answer runs, the question can also end it, instead of waiting for its end.
  steerButton() {
    const w = this.words;
    const keys = keyNames(this.enterSends ? "Ctrl Enter" : "Ctrl Shift Enter").join("+");
    return h(
      "button",
      {
        type: "button",
        class: "ws-composer-steer",
        "data-testid": "button-steer",
        "aria-label": w.send_now,
        title: `${w.send_now_hint} (${keys})`,
        disabled: !this.canSend,
        onClick: () => {
          this.submit(true);
          this.$refs.box.focus({ preventScroll: true }); // this button disappears
        },
      },
      [icon("send_now"), h("span", w.send_now)],
    );
  },

  sendButton() {
    const w = this.words;
    const label = this.canSteer ? w.send_queue : w.send;
    const title = this.isConnected ? label : w.offline_hint;
    return h(
      "button",
      {
        type: "submit",
        class: "ws-composer-send",
        "data-testid": "button-send",
        "aria-label": label,
        title,
        disabled: !this.canSend,
      },
      icon("send"),
    );
  },

  stopButton() {
    const w = this.words;
    const stop = () => {
      this.$emit("stop");
      this.$refs.box.focus({ preventScroll: true }); // this button disappears
    };
    return h(
      "button",
      {
        type: "button",
        class: "ws-composer-send",
        "data-testid": "button-stop",
        "aria-label": w.stop,
        title: w.stop,
        onClick: stop,
      },
      icon("stop_solid"),
    );
  },
};
