// @ts-check
// The message box. The browser owns its text: the server never changes it while the user types.
// Sent questions stay in an outbox until the server acknowledges them. After a lost connection or a reload they are
// sent again under the same id, and the server processes each id once. Each module has the methods of one subject.
import { h } from "vue";
import { addresses } from "wireside-composer/addresses.js";
import { compare } from "wireside-composer/compare.js";
import { files } from "wireside-composer/files.js";
import { footerLinks } from "wireside-composer/footer.js";
import { gauge } from "wireside-composer/gauge.js";
import { once } from "wireside-composer/once.js";
import { ownOptions } from "wireside-composer/own_options.js";
import { presets } from "wireside-composer/presets.js";
import { prompts } from "wireside-composer/prompts.js";
import { duration, sending } from "wireside-composer/sending.js";
import { LIMITED, SETTINGS, settings } from "wireside-composer/settings.js";
import { temporary } from "wireside-composer/temporary.js";
import { MAX_BYTES, bytes, text } from "wireside-composer/text.js";
import { voice } from "wireside-composer/voice.js";
import { chat } from "wireside-kit/chat.js";
import { choice, currentModel, isChosenModelGone } from "wireside-kit/choice.js";
import { icon } from "wireside-kit/icons.js";
import { loadPresets, saved } from "wireside-kit/saved.js";
import { numberOf } from "wireside-kit/model_settings.js";
import { memory } from "wireside-kit/storage.js";
import { isTouch } from "wireside-kit/viewport.js";

export default /** @satisfies {ComponentOptions<Composer>} */ ({
  props: {
    conversation: String,
    lost: String,
    base: String,
    maxChars: Number,
    maxFiles: Number, // of a question; 0: none
    maxFileMb: Number,
    recordingS: Number, // of voice input; 0: none
    isViewer: Boolean, // the user may only read
    right: { type: String, default: "own" }, // what the user may do with the first conversation
    footer: String,
    links: Array, // pairs of label and address
    words: Object,
    chosen: Object,
    preset: Object, // for new chats, as it was when the page was made
    link: Object, // what the address of a new chat asks for
  },
  emits: ["send", "stop", "edit-last", "open", "choose", "compact"],
  data() {
    return {
      rightNow: this.right,
      id: this.conversation, // "" for a new one
      text: "",
      attached: [], // the files of the next question, or of the edited one
      attachedBefore: [], // the files of the next question while another one is edited
      outbox: [],
      isAnswering: false,
      isConnected: true,
      notice: "",
      waitS: 0, // seconds until the refused request may be retried
      isSalvaged: false,
      compared: [], // the models that answer the next question side by side
      once: "", // the model for the next question alone
      hasAsked: false, // in the chat that is shown, which this page began
      isEnding: false, // the temporary chat, as its server is about to stop
      hasEnded: false, // the temporary chat before this one, with its server
      promptAt: 0, // index of the active entry in the list of prompts
      promptsLeft: "", // the text for which the list was closed
      filling: null, // the prompt whose variables are asked for
      isLinked: false, // the text came with the page's address
      linkModel: "", // the model in the page's address, until the list of models is there
      missing: "", // what the page's address names and the server does not offer
      context: null, // how much of the model's context is used; null without messages
      isGaugeOpen: false,
      isCompacting: false,
      allowance: "", // what remains of the limits, when it is low
      voice: "", // "asking", "recording", "transcribing" or "failed"
      voiceS: 0, // length of the recording
      voiceProblem: "",
      editing: "",
      open: false,
      settings: {}, // as typed in the panel
      own: {}, // the options of each model's own, as typed
      typing: {}, // entries of lists among them that are being typed
      isChoiceKnown: true, // false while another conversation is being opened
      enterSends: memory.read("enter_sends", !isTouch()),
    };
  },
  computed: {
    isReader() {
      return this.isViewer || this.rightNow === "read";
    },
    // Whether the conversation is another user's.
    isGuest() {
      return this.rightNow !== "own";
    },
    readOnlyText() {
      return this.isViewer ? this.words.read_only : this.words.shared_read_only;
    },
    isTemporary: () => chat.isTemporary,
    offered: () => choice.offered,
    promptList() {
      return this.suggested();
    },
    covers() {
      return this.open || this.isGaugeOpen || Boolean(this.promptList || this.filling);
    },
    // The preset for new chats.
    beginning() {
      if (!saved.isLoaded) return this.preset;
      return saved.presets.find((one) => one.id === saved.defaultPreset);
    },
    presetKey() {
      return JSON.stringify([this.settings, this.own, choice.model, choice.offered, saved.presets]);
    },
    chars() {
      // most texts are short enough in UTF-16 units already: avoids splitting them on each key
      return this.text.length <= this.maxChars ? this.text.length : [...this.text].length;
    },
    tooLong() {
      return (
        this.chars > this.maxChars ||
        (this.text.length > MAX_BYTES / 6 && bytes(this.text) > MAX_BYTES)
      );
    },
    canSend() {
      return (
        (Boolean(this.text.trim()) || this.attached.length > 0) &&
        this.attached.every((one) => one.id) &&
        !this.blind &&
        this.isConnected &&
        !this.tooLong &&
        !this.isReader &&
        !this.invalid &&
        !this.ownProblem &&
        this.isChoiceKnown
      );
    },
    canSteer() {
      return this.isAnswering && !this.editing && !this.isReader;
    },
    // The first setting that is out of its range.
    invalid() {
      return LIMITED.find((name) => Number.isNaN(numberOf(name, this.settings[name])));
    },
    ownProblem() {
      return this.ownProblemText();
    },
    gone() {
      if (!isChosenModelGone()) return "";
      return this.words.model_gone
        .replace("{model}", () => choice.model)
        .replace("{other}", () => currentModel()?.name ?? "");
    },
    stops() {
      return this.isAnswering && !this.text.trim() && !this.attached.length;
    },
    blind() {
      return this.blindText();
    },
    warning() {
      if (this.notice) return this.notice;
      if (this.tooLong) return this.tooLongText();
      if (this.blind) return this.blind;
      if (this.invalid) return this.words["invalid_" + this.invalid];
      if (this.ownProblem) return this.ownProblem;
      return this.isConnected ? "" : this.words.offline_hint;
    },
    hint() {
      const w = this.words;
      if (this.voice) return this.voiceHint();
      if (this.warning)
        return h("span", { class: "ws-composer-hint-shown" }, [this.warning, this.countdown]);
      if (this.gone)
        return h(
          "span",
          { class: "ws-composer-hint-calm", "data-testid": "model-gone" },
          this.gone,
        );
      if (window.wiresideStorageBlocked && this.text)
        return h("span", { class: "ws-composer-hint-calm" }, w.storage_blocked);
      if (this.allowance)
        return h(
          "span",
          { class: "ws-composer-hint-calm", "data-testid": "allowance" },
          this.allowance,
        );
      const ofContext = this.contextHint();
      if (ofContext) return ofContext;
      const ofLink = [this.isLinked && w.from_link, this.missing].filter(Boolean).join(" ");
      if (ofLink) return h("span", { class: "ws-composer-hint-calm" }, ofLink);
      return this.isSalvaged
        ? h("span", { class: "ws-composer-hint-calm" }, w.salvaged)
        : this.footer || w.disclaimer;
    },
    countdown() {
      if (!this.notice || !this.waitS) return null;
      const sentence = this.words.try_in.replace("{time}", duration(this.waitS));
      // announced once with the notice, not every second
      return h("span", { "data-testid": "countdown", "aria-live": "off" }, ` ${sentence}`);
    },
    hasSettings() {
      return (
        SETTINGS.some((name) => String(this.settings[name] ?? "").trim()) ||
        Object.keys(this.ownTyped()).length > 0
      );
    },
  },
  watch: {
    /** @param {string} turnId */
    editing(turnId) {
      window.dispatchEvent(new CustomEvent("wireside:editing", { detail: turnId }));
    },
    offered() {
      this.takeLinkModel();
    },
    presetKey() {
      this.notePreset();
    },
    covers() {
      chat.isCovered = this.covers;
    },
  },
  created() {
    chat.isTemporary = this.link.isTemporary;
    if (this.lost) this.salvage(this.lost);
    this.load(!window.wiresideShell?.isTyped()); // keeps text that is being typed
    this.id ? this.setChoice(this.id, this.chosen) : this.beginChoice();
    chat.canSpeak = this.canSpeak();
  },
  mounted() {
    window.addEventListener("wireside:ask", this.onAsk);
    window.addEventListener("wireside:preset", this.onPreset);
    window.addEventListener("wireside:prompt", this.onPrompt);
    window.addEventListener("wireside:compact", this.compact);
    window.addEventListener("wireside:voice", this.toggleVoice);
    window.addEventListener("wireside:compared", this.onCompare);
    window.addEventListener("wireside:open", this.onOpen);
    window.addEventListener("wireside:model", this.onModel);
    window.addEventListener("wireside:deleted", this.onDeleted);
    window.addEventListener("wireside:move", this.onMove);
    window.addEventListener("wireside:preferences", this.onPreferences);
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
      document.documentElement.style.setProperty(
        "--ws-composer-height",
        this.$el.offsetHeight + "px",
      ),
    );
    this.observer.observe(this.$el);
    this.grow();
    if (this.editing)
      window.dispatchEvent(new CustomEvent("wireside:editing", { detail: this.editing }));
    this.takeOver();
    this.takeFleeting();
    loadPresets(this.base);
    this.whenConnected(() => this.outbox.forEach(this.emitSend));
  },
  unmounted() {
    clearTimeout(this.timer);
    clearTimeout(this.choosing);
    this.dropVoice();
    window.removeEventListener("wireside:ask", this.onAsk);
    window.removeEventListener("wireside:preset", this.onPreset);
    window.removeEventListener("wireside:prompt", this.onPrompt);
    window.removeEventListener("wireside:compact", this.compact);
    window.removeEventListener("wireside:voice", this.toggleVoice);
    window.removeEventListener("wireside:compared", this.onCompare);
    window.removeEventListener("wireside:open", this.onOpen);
    window.removeEventListener("wireside:model", this.onModel);
    window.removeEventListener("wireside:deleted", this.onDeleted);
    window.removeEventListener("wireside:move", this.onMove);
    window.removeEventListener("wireside:preferences", this.onPreferences);
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
      h("form", { class: "ws-composer-box", onSubmit: this.onSubmit }, [
        this.isTemporary ? this.temporaryBar() : null,
        this.editing
          ? h("div", { class: "ws-composer-editing" }, [
              h("span", w.editing),
              h(
                "button",
                {
                  type: "button",
                  class: "ws-tool",
                  "aria-label": w.cancel,
                  title: w.cancel,
                  onClick: this.stopEditing,
                },
                icon("close"),
              ),
            ])
          : null,
        this.once ? this.onceBar() : null,
        this.compared.length ? this.compareBar() : null,
        this.promptMenu(),
        this.promptForm(),
        this.chips(),
        h("textarea", {
          ref: "box",
          rows: 1,
          value: this.text,
          placeholder: this.isReader ? this.readOnlyText : w.placeholder,
          disabled: this.isReader,
          "aria-label": this.isReader ? this.readOnlyText : w.placeholder,
          "aria-describedby": "ws-composer-hint",
          "aria-invalid": this.tooLong ? "true" : undefined,
          "data-testid": "input-chat",
          dir: this.text ? "auto" : undefined, // the placeholder has the page's direction
          enterkeyhint: this.enterSends ? "send" : "enter",
          autocomplete: "off",
          ...this.promptAttributes(),
          onInput: (e) => this.setText(e.target.value),
          onKeydown: this.onKey,
          onPaste: this.onPaste,
        }),
        this.voiceBar(),
        h("div", { class: "ws-composer-bar" }, [
          this.attachButton(),
          this.$slots.default?.(),
          this.options(),
          this.promptButton(),
          this.voiceButton(),
          this.gaugeButton(),
          h("span", { class: "ws-composer-gap" }),
          this.canSteer && !this.stops ? this.steerButton() : null,
          this.stops ? this.stopButton() : this.sendButton(),
        ]),
      ]),
      h("p", { id: "ws-composer-hint", class: "ws-composer-hint", role: "status" }, [this.hint]),
      footerLinks(this.links),
    ]);
  },
  methods: {
    ...addresses,
    ...compare,
    ...files,
    ...gauge,
    ...once,
    ...ownOptions,
    ...presets,
    ...prompts,
    ...sending,
    ...settings,
    ...temporary,
    ...text,
    ...voice,

    onPreferences() {
      this.enterSends = memory.read("enter_sends", !isTouch());
    },
  },
});
