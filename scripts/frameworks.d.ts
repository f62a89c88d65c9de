// Types of the little that the hooks of the JavaScript client (assets/client/wireside/) use of the frameworks.

declare module "react" {
  export function useEffect(effect: () => void): void;
  export function useMemo<T>(create: () => T, dependencies: unknown[]): T;
  export function useSyncExternalStore<T>(
    subscribe: (listener: () => void) => () => void,
    read: () => T,
    readOnServer: () => T,
  ): T;
}

declare module "vue" {
  export interface ComputedRef<T> {
    readonly value: T;
  }
  export function computed<T>(get: () => T): ComputedRef<T>;
  export function shallowRef<T>(value: T): { value: T };
  export function getCurrentInstance(): object | null;
  export function onMounted(work: () => void): void;
  export function onScopeDispose(work: () => void): void;
}

declare module "svelte/store" {
  export interface Readable<T> {
    subscribe(listener: (value: T) => void): () => void;
  }
  export function readable<T>(
    value: T,
    start: (set: (value: T) => void) => (() => void) | void,
  ): Readable<T>;
  export function derived<T, U>(store: Readable<T>, map: (value: T) => U): Readable<U>;
}
