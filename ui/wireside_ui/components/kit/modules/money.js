// @ts-check
// Amounts of money as texts.

/**
 * Returns "$0.0012", or "USD 0.0012" for a code.
 * @param {number} amount
 * @param {string} currency
 */
export function money(amount, currency) {
  const lang = document.documentElement.lang || undefined;
  const digits = amount < 1 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 };
  const isCode = /\p{L}$/u.test(currency);
  return `${currency}${isCode ? " " : ""}${amount.toLocaleString(lang, digits)}`;
}
