// @ts-check
// Voice input: the server transcribes a recording of the microphone, and the text is inserted at the caret. Nothing is
// sent by itself.
import { h } from "vue";
import { Recording, canRecord } from "wireside-composer/recording.js";
import { icon } from "wireside-kit/icons.js";

const UNSPACED = /[\s([{"'«“‘\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]$/u; // a space after it would be wrong
const ATTACHED = /^[\s.,;:!?)\]}"'»”’\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u; // the same, before it

/**
 * Returns a spoken text with the spaces that separate it from the texts around it.
 *
 * @param {string} before
 * @param {string} spoken
 * @param {string} after
 */
export function spacedText(before, spoken, after) {
  const start = before && !UNSPACED.test(before) && !ATTACHED.test(spoken) ? " " : "";
  const end = after && !ATTACHED.test(after) && !UNSPACED.test(spoken) ? " " : "";
  return start + spoken + end;
}

/**
 * Formats a length: "1:05".
 *
 * @param {number} seconds
 */
function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @satisfies {ThisType<Composer>} */
export const voice = {
  canSpeak() {
    return this.recordingS > 0 && !this.isReader && canRecord();
  },

  toggleVoice() {
    if (this.voice === "recording") this.finishVoice();
    else if (!this.voice) this.startVoice();
  },

  async startVoice() {
    if (!this.canSpeak() || this.voice) return;
    this.tell("");
    this.voice = "asking";
    this.voiceS = 0;
    const recording = new Recording({
      onLevel: (levels, seconds) => this.showVoice(recording, levels, seconds),
      onEnd: () => this.recording === recording && this.finishVoice(), // the microphone was unplugged
    });
    this.recording = recording;
    this.$nextTick(() => this.$refs.voice?.querySelector("button")?.focus());
    try {
      await recording.start();
    } catch (error) {
      if (this.recording !== recording) return;
      this.leaveVoice();
      this.tell(this.whyNoVoice(error));
      return;
    }
    if (this.recording !== recording) return recording.discard(); // cancelled while the browser asked
    this.voice = "recording";
    this.$nextTick(() => this.$refs.voiceDone?.focus());
  },

  /** @param {unknown} error */
  whyNoVoice(error) {
    const w = this.words;
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") return w.voice_denied;
    return name === "NotFoundError" ? w.voice_no_device : w.voice_busy;
  },

  /**
   * @param {Recording} recording
   * @param {number[]} levels from 0 to 1, the newest last
   * @param {number} seconds
   */
  showVoice(recording, levels, seconds) {
    if (this.recording !== recording || this.voice !== "recording") return;
    this.voiceS = Math.min(seconds, this.recordingS);
    const bars = /** @type {HTMLElement[]} */ ([...(this.$refs.levels?.children ?? [])]);
    bars.forEach((bar, index) => {
      const level = levels.at(index - bars.length) ?? 0;
      bar.style.setProperty("--ws-level", level.toFixed(2));
    });
    if (seconds >= this.recordingS) this.finishVoice();
  },

  async finishVoice() {
    const { recording } = this;
    if (!recording || this.voice !== "recording") return;
    const isCut = this.voiceS >= this.recordingS;
    this.voice = "transcribing";
    this.$nextTick(() => this.$refs.voice?.querySelector("button")?.focus());
    const recorded = await recording.stop();
    if (this.recording !== recording) return;
    this.recorded = recorded;
    await this.transcribe(isCut);
  },

  /** Sends the kept recording; after a failure it can be sent again. */
  async transcribe(isCut = false) {
    const { recorded } = this;
    if (!recorded) return;
    this.voice = "transcribing";
    const request = (this.voiceRequest = new AbortController());
    try {
      const response = await fetch(`${this.base}/api/transcriptions`, {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream" },
        body: recorded,
        signal: request.signal,
      });
      const body = await response.json();
      if (this.voiceRequest !== request) return;
      if (!response.ok) return this.failVoice(body);
      this.leaveVoice();
      if (body.text) this.insertSpoken(body.text);
      const limit = this.words.voice_cut.replace("{time}", () => clock(this.recordingS));
      if (!body.text) this.tell(this.words.voice_nothing);
      else if (isCut) this.tell(limit);
    } catch {
      if (this.voiceRequest === request) this.failVoice({});
    }
  },

  /** @param {{ message?: string, code?: string }} problem */
  failVoice({ message, code }) {
    const w = this.words;
    const own = document.documentElement.lang === "en" ? message : "";
    this.voice = "failed";
    this.voiceProblem = code === "rate_limited" ? w.voice_limited : own || w.voice_failed;
    this.$nextTick(() => this.$refs.voiceDone?.focus());
  },

  /**
   * Inserts a text at the caret, or in place of the selection; the browser can undo it.
   * @param {string} spoken
   */
  insertSpoken(spoken) {
    const box = this.$refs.box;
    const { selectionStart: start, selectionEnd: end, value } = box;
    const text = spacedText(value.slice(0, start), spoken, value.slice(end));
    box.focus({ preventScroll: true });
    box.setSelectionRange(start, end);
    if (document.execCommand("insertText", false, text)) return; // calls `setText`
    box.setRangeText(text, start, end, "end");
    this.setText(box.value);
  },

  /** Ends voice input in any state; a recording is thrown away. */
  dropVoice() {
    this.voiceRequest?.abort();
    this.recording?.discard();
    this.voice = "";
    this.recording = this.recorded = this.voiceRequest = null;
  },

  leaveVoice() {
    this.dropVoice();
    this.$refs.box.focus({ preventScroll: true });
  },

  /** The sentence in the hint below the box. */
  voiceHint() {
    const w = this.words;
    if (this.voice === "failed")
      return h("span", { class: "ws-composer-hint-shown", "data-testid": "voice-problem" }, [
        `${this.voiceProblem} ${w.voice_kept}`,
      ]);
    const text = {
      asking: w.voice_asking,
      recording: w.voice_recording,
      transcribing: w.voice_transcribing,
      "": "",
    }[this.voice];
    return h("span", { class: "ws-composer-hint-calm", "data-testid": "voice-state" }, text);
  },

  voiceButton() {
    if (!this.canSpeak()) return null;
    const isRecording = this.voice === "recording";
    const label = this.words.voice;
    return h(
      "button",
      {
        type: "button",
        class: ["ws-tool", isRecording && "ws-composer-changed"],
        "data-testid": "voice",
        "aria-label": label,
        title: label,
        "aria-pressed": String(Boolean(this.voice)),
        disabled: Boolean(this.voice) && !isRecording,
        onClick: this.toggleVoice,
      },
      icon("microphone"),
    );
  },

  voiceBar() {
    if (!this.voice) return null;
    const w = this.words;
    const isRecording = this.voice === "recording";
    return h(
      "div",
      {
        ref: "voice",
        role: "group",
        class: ["ws-composer-voice", `ws-composer-voice-${this.voice}`],
        "aria-label": w.voice,
        "data-testid": "voice-bar",
      },
      [
        h(
          "button",
          {
            type: "button",
            class: "ws-tool",
            "data-testid": "voice-discard",
            "aria-label": w.voice_discard,
            title: w.voice_discard,
            onClick: this.leaveVoice,
          },
          icon(this.voice === "asking" ? "close" : "trash"),
        ),
        h(
          "span",
          { ref: "levels", class: "ws-composer-voice-levels", "aria-hidden": "true" },
          Array.from({ length: 32 }, (_, key) => h("i", { key })),
        ),
        h("span", { class: "ws-composer-voice-time", role: "timer", "aria-live": "off" }, [
          clock(this.voiceS),
          h("small", ` / ${clock(this.recordingS)}`),
        ]),
        isRecording
          ? this.voiceDoneButton(w.voice_done, this.finishVoice, "check")
          : this.voice === "failed"
            ? this.voiceDoneButton(w.try_again, () => this.transcribe(), "retry")
            : null,
      ],
    );
  },

  /**
   * @param {string} label
   * @param {() => void} run
   * @param {"check" | "retry"} name
   */
  voiceDoneButton(label, run, name) {
    return h(
      "button",
      {
        ref: "voiceDone",
        type: "button",
        class: "ws-composer-voice-done",
        "data-testid": "voice-done",
        onClick: run,
      },
      [icon(name), h("span", label)],
    );
  },
};
