// @ts-check
// Questions of an answer to the user: a card with buttons or fields, which shows the answer once there is one.
import { make, within } from "wireside-kit/dom.js";

let fields = 0;

/**
 * Returns a label around the name of a field and the field.
 * @param {string} name
 * @param {HTMLElement} field
 */
function labelled(name, field, className = "ws-turn-ask-field") {
  const el = make("label", className);
  const text = make("span", "ws-turn-ask-label", { dir: "auto" });
  text.textContent = name;
  el.append(text, field);
  return el;
}

/**
 * @param {Choice[]} options
 * @param {unknown} chosen
 * @param {boolean} isRequired
 */
function optionList(options, chosen, isRequired) {
  const el = make("select", "ws-turn-ask-input");
  if (!isRequired || !options.some(({ value }) => value === chosen)) el.append(new Option("", ""));
  for (const { value, label } of options)
    el.append(new Option(label, value, false, value === chosen));
  return el;
}

/** @satisfies {ThisType<Transcript>} */
export const questions = {
  /**
   * @param {Row} row
   * @param {Whole<"question">} part
   */
  questionElement(row, part) {
    const box = make("div", "ws-turn-ask", { role: "group", "data-testid": "question" });
    const el = Object.assign(box, { question: part });
    this.fillQuestion(row, el);
    return el;
  },

  /**
   * A question is open while it has no answer and its turn waits for one.
   * @param {Row} row
   * @param {AskElement} el
   */
  fillQuestion(row, el) {
    const { data } = el.question;
    const isOpen = data.answer === null && row.data.state === "asking" && this.mayChange(row);
    const shown = JSON.stringify([isOpen, data]);
    if (el.shown === shown) return; // keeps what is being written
    el.shown = shown;
    el.classList.toggle("ws-turn-is-open", isOpen);
    const prompt = make("div", "ws-turn-ask-prompt ws-prose", {
      id: `ws-ask-${++fields}`,
      dir: "auto",
    });
    prompt.innerHTML = data.prompt; // sanitised on the server
    this.decorate(prompt);
    this.drawFormulas(prompt);
    el.setAttribute("aria-labelledby", prompt.id);
    el.replaceChildren(prompt, isOpen ? this.askForm(row, el) : this.givenAnswer(data));
  },

  /** @param {Row} row */
  paintQuestions(row) {
    const all = /** @type {NodeListOf<AskElement>} */ (row.body.querySelectorAll(".ws-turn-ask"));
    for (const el of all) this.fillQuestion(row, el);
  },

  /**
   * @param {Row} row
   * @param {AskElement} el
   */
  askForm(row, el) {
    const { id, data } = el.question;
    const form = make("form", "ws-turn-ask-form");
    /** @param {unknown} value */
    const send = (value) => {
      if (el.isSent) return; // a double click
      el.isSent = true;
      setTimeout(() => (el.isSent = false), 3000); // the server may refuse it
      this.$emit("answer", { id: row.data.id, part: data.id || id, value });
    };
    const read = {
      approve: () => this.approveFields(form, data, send),
      choose: () => this.chooseFields(form, data, send),
      form: () => this.formFields(form, data),
      text: () => this.textFields(form, data),
      file: () => this.fileFields(form, data, send),
    }[data.type]();
    if (read) {
      const button = make("button", "ws-turn-ask-button ws-turn-ask-main", { type: "submit" });
      button.textContent = this.words.send_answer;
      form.append(button);
      form.dispatchEvent(new Event("change"));
    }
    form.onsubmit = (event) => {
      event.preventDefault();
      event.stopPropagation();
      const value = read?.();
      if (value !== undefined) send(value);
    };
    return form;
  },

  /**
   * @param {string} text
   * @param {boolean} isMain
   * @param {(event: MouseEvent) => unknown} act
   */
  askButton(text, isMain, act) {
    const el = make("button", `ws-turn-ask-button${isMain ? " ws-turn-ask-main" : ""}`, {
      type: "button",
      dir: "auto",
    });
    el.textContent = text;
    el.onclick = act;
    return el;
  },

  /**
   * @param {HTMLFormElement} form
   * @param {QuestionData} data
   * @param {(value: unknown) => void} send
   */
  approveFields(form, data, send) {
    form.append(
      this.askButton(data.yes || this.words.yes, true, () => send(true)),
      this.askButton(data.no || this.words.no, false, () => send(false)),
    );
    return null;
  },

  /**
   * One choice is a click; several are marked and sent.
   * @param {HTMLFormElement} form
   * @param {QuestionData} data
   * @param {(value: unknown) => void} send
   */
  chooseFields(form, data, send) {
    if (!data.multiple) {
      form.append(
        ...data.options.map(({ value, label }) =>
          this.askButton(label, false, () => send([value])),
        ),
      );
      return null;
    }
    const boxes = data.options.map(({ value, label }) => {
      const box = make("input", "", { type: "checkbox" });
      box.value = value;
      form.append(labelled(label, box, "ws-turn-ask-option"));
      return box;
    });
    form.onchange = () => {
      const button = /** @type {HTMLButtonElement} */ (within(form, "[type=submit]"));
      button.disabled = !boxes.some((box) => box.checked);
    };
    return () => boxes.filter((box) => box.checked).map((box) => box.value);
  },

  /**
   * A chosen file is uploaded at once; its id is the answer.
   * @param {HTMLFormElement} form
   * @param {QuestionData} data
   * @param {(value: unknown) => void} send
   */
  fileFields(form, data, send) {
    const field = make("input", "ws-turn-ask-input", {
      type: "file",
      "data-testid": "question-file",
      "aria-label": this.words.your_answer,
    });
    field.accept = data.media_types.join(",");
    const progress = make("progress", "ws-turn-ask-progress", { max: "1" });
    progress.hidden = true;
    const problem = make("p", "ws-turn-ask-problem", { role: "alert" });
    field.onchange = () => {
      const file = field.files?.[0];
      if (file) this.uploadAnswer(file, { field, progress, problem, send });
    };
    form.append(field, progress, problem);
    return null;
  },

  /**
   * @param {File} file
   * @param {{ field: HTMLInputElement, progress: HTMLProgressElement, problem: HTMLElement, send: (value: unknown) => void }} form
   */
  uploadAnswer(file, { field, progress, problem, send }) {
    const request = new XMLHttpRequest(); // `fetch` does not report the progress of an upload
    const ends = () => {
      progress.hidden = true;
      field.disabled = false;
      field.value = ""; // the same file can be chosen again
    };
    request.open("POST", `${this.uploads}?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (e) => (progress.value = e.total ? e.loaded / e.total : 0);
    request.onloadend = () => {
      ends();
      if (request.status === 201) return send(request.response.id);
      const { message } = request.response ?? {};
      const text = this.words.upload_failed.replace("{name}", () => file.name);
      problem.textContent = message && document.documentElement.lang === "en" ? message : text;
    };
    problem.textContent = "";
    progress.hidden = false;
    progress.value = 0;
    progress.setAttribute(
      "aria-label",
      this.words.uploading.replace("{name}", () => file.name),
    );
    field.disabled = true;
    request.send(file);
  },

  /**
   * @param {HTMLFormElement} form
   * @param {QuestionData} data
   */
  textFields(form, data) {
    const field = data.multiline
      ? make("textarea", "ws-turn-ask-input", { rows: "4" })
      : make("input", "ws-turn-ask-input", { type: "text" });
    field.placeholder = data.placeholder;
    field.required = true;
    field.maxLength = 10000;
    field.dir = "auto";
    field.setAttribute("aria-label", this.words.your_answer);
    form.append(field);
    return () => field.value;
  },

  /**
   * @param {HTMLFormElement} form
   * @param {QuestionData} data
   */
  formFields(form, data) {
    const inputs = data.fields.map((field) => {
      const { input, isOption, read } = this.inputOf(field);
      form.append(labelled(field.label, input, isOption ? "ws-turn-ask-option" : undefined));
      return { name: field.name, read };
    });
    // from entries, because a name could be "__proto__"
    return () => Object.fromEntries(inputs.map(({ name, read }) => [name, read()]));
  },

  /**
   * Returns the input of a field of a form, with a function that reads its value.
   * @param {FieldData} field
   * @returns {{ input: HTMLElement, isOption?: boolean, read: () => unknown }}
   */
  inputOf({ type, value, options, required }) {
    if (type === "choice") {
      const input = optionList(options, value, required);
      input.required = required;
      return { input, read: () => input.value };
    }
    if (type === "switch") {
      const input = make("input", "", { type: "checkbox" });
      input.checked = value === true;
      return { input, isOption: true, read: () => input.checked };
    }
    const isNumber = type === "number";
    const input = make("input", "ws-turn-ask-input", { type: isNumber ? "number" : "text" });
    input.value = String(value ?? "");
    input.required = required;
    if (isNumber) {
      input.step = "any";
      return { input, read: () => (input.value === "" ? null : input.valueAsNumber) };
    }
    input.maxLength = 10000;
    input.dir = "auto";
    return { input, read: () => input.value };
  },

  /**
   * The answer of a question that is not open, as text; what it was to be if there is none.
   * @param {QuestionData} data
   */
  givenAnswer(data) {
    const el = make("div", "ws-turn-ask-answer", { dir: "auto", "data-testid": "question-answer" });
    if (data.answer === null) {
      el.classList.add("ws-turn-ask-none");
      el.textContent = this.words.not_answered;
      return el;
    }
    if (data.type === "file") {
      el.textContent = String(Object(data.answer).name ?? "—");
      return el;
    }
    if (data.type !== "form") {
      el.textContent = this.answerText(data, data.answer);
      return el;
    }
    const given = new Map(Object.entries(data.answer ?? {}));
    for (const field of data.fields) {
      if (!given.has(field.name)) continue;
      const line = make("div", "ws-turn-ask-line");
      const name = make("span", "ws-turn-ask-label", { dir: "auto" });
      name.textContent = field.label;
      const value = make("span", "", { dir: "auto" });
      value.textContent = this.answerText(field, given.get(field.name));
      line.append(name, value);
      el.append(line);
    }
    return el;
  },

  /**
   * @param {Partial<Pick<QuestionData, "options" | "yes" | "no">>} question or a field of a form
   * @param {unknown} value
   */
  answerText({ options = [], yes, no }, value) {
    if (typeof value === "boolean") return value ? yes || this.words.yes : no || this.words.no;
    /** @param {unknown} one */
    const labelOf = (/** @type {unknown} */ one) =>
      options.find((option) => option.value === one)?.label ?? String(one);
    if (Array.isArray(value)) return value.map(labelOf).join(", ") || "—";
    return value === null || value === "" ? "—" : labelOf(value);
  },
};
