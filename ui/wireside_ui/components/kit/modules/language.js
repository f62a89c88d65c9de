// @ts-check
// The language of the pages that is chosen in this browser; the server reads it from a cookie.

const NAME = "wireside_language";
const YEAR_S = 31_536_000;

/** Returns the code of the chosen language, "" for the browser's own. */
export function chosenLanguage() {
  const found = document.cookie.match(new RegExp(`(?:^|; )${NAME}=(\\w+)`));
  return found?.[1] ?? "";
}

/**
 * Chooses a language and loads the page in it.
 *
 * @param {string} code of the language, "" for the browser's own
 * @param {string} base
 */
export function chooseLanguage(code, base) {
  const age = code ? YEAR_S : 0;
  document.cookie = `${NAME}=${code}; path=${base || "/"}; max-age=${age}; samesite=lax`;
  location.reload();
}
