// @ts-check
// Facts about the window and the pointer.

// On-screen keyboards have no Shift+Enter.
export const isTouch = () => matchMedia("(hover: none) and (pointer: coarse)").matches;

// Whether a page may take the focus when it loads. A page in a frame may not: the focus belongs to
// its host.
export function mayTakeFocus() {
  return matchMedia("(hover: hover)").matches && (window.parent === window || document.hasFocus());
}
