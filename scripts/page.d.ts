// Types of what the scripts find on a page: NiceGUI's modules and the globals of the page itself.

declare module "vue" {
  export interface VNode {}
  export function h(type: string, ...rest: unknown[]): VNode;
  export function markRaw<T extends object>(value: T): T;
  export function reactive<T extends object>(value: T): T;
  export function shallowReactive<T extends object>(value: T): T;
}

interface Window {
  /** Draws formulas; set by assets/math.js. */
  wiresideMath?: { typeset(el: Element, source?: string): void };
  /** The browser blocks its storage; values are in memory. */
  wiresideStorageBlocked?: boolean;
}
