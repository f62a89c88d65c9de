// @ts-check
// Reads an answer aloud by the speech of the browser, where it has voices.
import { plainText } from "./copied_text.js";

const MAX_PIECE_CHARS = 400; // some voices stop in the middle of a longer piece

/** @type {[RegExp, string][]} */
const SCRIPTS = [
  [/[\u3040-\u30ff]/u, "ja"],
  [/[\uac00-\ud7af]/u, "ko"],
  [/\p{Script=Han}/u, "zh"],
  [/\p{Script=Arabic}/u, "ar"],
  [/\p{Script=Hebrew}/u, "he"],
  [/\p{Script=Devanagari}/u, "hi"],
  [/\p{Script=Greek}/u, "el"],
  [/\p{Script=Cyrillic}/u, "ru"],
];

/** @type {[RegExp, string][]} */
const WORDS = [
  [/\b(?:the|and|of|is|that|with|for|are|this|you)\b/giu, "en"],
  [/\b(?:der|die|das|und|ist|nicht|mit|ein|eine|für)\b/giu, "de"],
  [/\b(?:el|los|las|que|una|con|por|para|es|del)\b/giu, "es"],
  [/\b(?:le|les|des|une|est|dans|pour|que|avec|du)\b/giu, "fr"],
];

/**
 * The language of a text, by its script and its most frequent words; that of the page if they say nothing.
 * @param {string} text
 */
export function languageOf(text) {
  const sample = text.slice(0, 4000);
  const script = SCRIPTS.find(([letters]) => letters.test(sample));
  if (script) return script[1];
  const counts = WORDS.map(([words, lang]) => ({
    lang,
    count: (sample.match(words) ?? []).length,
  }));
  const most = counts.reduce((a, b) => (b.count > a.count ? b : a));
  return most.count ? most.lang : document.documentElement.lang;
}

/**
 * Splits a text at the ends of its lines and sentences.
 * @param {string} text
 */
export function piecesOf(text) {
  const sentences = text.match(/[^\n.!?。！？]+[.!?。！？]*\s*/gu) ?? [];
  /** @type {string[]} */
  const pieces = [];
  for (const sentence of sentences) {
    const last = pieces.at(-1);
    if (last !== undefined && last.length + sentence.length <= MAX_PIECE_CHARS)
      pieces[pieces.length - 1] = last + sentence;
    else
      for (let at = 0; at < sentence.length; at += MAX_PIECE_CHARS)
        pieces.push(sentence.slice(at, at + MAX_PIECE_CHARS));
  }
  return pieces.filter((piece) => piece.trim());
}

/** @satisfies {ThisType<Transcript>} */
export const readingAloud = {
  canReadAloud() {
    return "speechSynthesis" in window && speechSynthesis.getVoices().length > 0;
  },

  /** @param {Row} row */
  readAloud(row) {
    this.stopReading();
    const text = plainText(row);
    const lang = languageOf(text);
    const pieces = piecesOf(text);
    if (!pieces.length) return;
    this.reading = row;
    for (const piece of pieces) {
      const utterance = new SpeechSynthesisUtterance(piece);
      utterance.lang = lang;
      utterance.onerror = () => this.endReading(row);
      if (piece === pieces.at(-1)) utterance.onend = () => this.endReading(row);
      speechSynthesis.speak(utterance);
    }
    this.paintState(row);
    row.foot.querySelector('[data-action="stop_reading"]')?.focus({ preventScroll: true });
  },

  stopReading() {
    const row = this.reading;
    if (!row) return;
    this.endReading(row);
    speechSynthesis.cancel();
  },

  /** @param {Row} row */
  endReading(row) {
    if (this.reading !== row) return;
    this.reading = null;
    if (row.el) this.paintState(row);
  },
};
