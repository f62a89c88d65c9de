// @ts-check
// Opening and closing the sidebar, which is a drawer on a narrow page.
import { memory } from "wireside-kit/storage.js";

export const WIDE = matchMedia("(min-width: 1024px)");

/** @satisfies {ThisType<Sidebar>} */
export const drawer = {
  toggle() {
    if (this.isDrawer) return this.isDrawerOpen ? this.closeDrawer() : this.openDrawer();
    const hadFocus = this.$el.contains(document.activeElement);
    const isClosed = document.documentElement.classList.toggle("ws-sidebar-closed");
    this.isClosed = isClosed;
    const button = document.querySelector('[data-testid="sidebar-toggle"]');
    if (isClosed && hadFocus) button?.focus(); // hidden elements can't have the focus
    memory.writeText("sidebar", isClosed ? "closed" : "open");
  },

  openDrawer() {
    if (this.isDrawerOpen) return;
    this.opener = /** @type {HTMLElement | null} */ (document.activeElement);
    this.isDrawerOpen = true;
    history.pushState({ ...history.state, drawer: true }, ""); // Back closes the drawer and does not leave the page
    const around = /** @type {HTMLElement[]} */ ([...(this.$el.parentElement?.children ?? [])]);
    this.others = around.filter((el) => el !== this.$el && !el.inert);
    for (const el of this.others) el.inert = true;
    this.$nextTick(() => this.$refs.fresh?.focus());
  },

  /**
   * Opening a conversation from the drawer replaces the drawer's history entry; otherwise the entry is removed.
   * @param {Event} [e]
   */
  closeDrawer(e) {
    if (!this.isDrawerOpen) return;
    this.isDrawerOpen = false;
    if (e?.type !== "wireside:open" && history.state?.drawer) history.back();
    this.dropMenu();
    this.isAppOpen = false;
    for (const el of this.others) el.inert = false;
    this.opener?.focus({ preventScroll: true });
  },

  /**
   * Keeps the focus within the drawer.
   * @param {KeyboardEvent} e
   */
  onTrap(e) {
    if (e.key !== "Tab" || !this.isDrawerOpen || e.defaultPrevented) return;
    const all = /** @type {NodeListOf<HTMLButtonElement>} */ (
      this.$refs.panel.querySelectorAll("a[href], button, input, select")
    );
    const stops = [...all].filter((el) => el.tabIndex >= 0 && !el.disabled && !el.hidden);
    const [from, to] = e.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (document.activeElement !== from) return;
    e.preventDefault();
    to?.focus();
  },

  onWidth() {
    this.closeDrawer();
    this.isDrawer = !WIDE.matches;
  },

  // Shows the sidebar, with the focus in its search box.
  beginSearch() {
    if (this.isDrawer) this.openDrawer();
    else if (document.documentElement.classList.contains("ws-sidebar-closed")) this.toggle();
    this.$nextTick(() => this.$refs.search.select());
  },

  /** @param {KeyboardEvent} e */
  onPageKey(e) {
    const key = e.key.toLowerCase();
    const isCommand = (e.ctrlKey || e.metaKey) && !e.altKey;
    if (isCommand && e.shiftKey && key === "s") {
      e.preventDefault();
      this.toggle();
    } else if (
      e.key === "Escape" &&
      !e.defaultPrevented &&
      !document.querySelector("dialog[open]") // which the key closes
    ) {
      if (this.menu || this.menuItem) this.closeMenu();
      else if (this.isAppOpen) this.closeApp();
      else if (this.isSelecting && this.$el.contains(/** @type {Node} */ (e.target)))
        this.endSelection();
      else if (this.isDrawerOpen) this.closeDrawer();
      else return;
      e.preventDefault(); // does not stop an answer
    }
  },

  /** @param {MouseEvent} e */
  onOutside(e) {
    if (this.isAppOpen && !this.$refs.app?.contains(/** @type {Node} */ (e.target)))
      this.isAppOpen = false;
    if (
      (this.menu || this.menuItem) &&
      /** @type {Element} */ (e.target).isConnected && // an entry may have given way to others
      !(
        /** @type {Element} */ (e.target).closest(
          ".ws-sidebar-item-menu, .ws-sidebar-item-more, [data-testid=conversation-title]",
        )
      )
    )
      this.dropMenu();
  },
};
