// @ts-check
// Modal dialogs.

/**
 * Opens a modal dialog; when it is closed, the focus goes back to where it was. Left to Chromium, the message box
 * would get it without a caret if a field of the dialog had it.
 *
 * @param {HTMLDialogElement} dialog
 */
export function showDialog(dialog) {
  if (dialog.open) return;
  const opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  opener?.blur();
  dialog.showModal();
  dialog.addEventListener("close", () => opener?.focus({ preventScroll: true }), { once: true });
}
