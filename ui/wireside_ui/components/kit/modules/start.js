// Starts the page. NiceGUI's `createApp` connects the elements to the server. Quasar is not loaded: its three elements
// around NiceGUI's content are plain ones here, and a page uses no other.
import * as vue from "vue";

import { watchServer } from "wireside-kit/moving.js";
import { registerWorker } from "wireside-kit/worker.js";

const plain = {
  /**
   * @param {unknown} _
   * @param {{ slots: VueInstance["$slots"] }} context
   */
  setup: (_, { slots }) => {
    return () => vue.h("div", slots.default?.());
  },
};

/**
 * Creates the page's application from the JSON in the document, with components by their tags.
 * @param {Record<string, unknown>} components
 */
export function start(components) {
  window.Vue = vue; // NiceGUI's script reads it
  const { elements, options } = JSON.parse(document.getElementById("ws-start")?.textContent ?? "");
  watchServer();
  const app = window.createApp(elements, options);
  for (const tag of ["q-layout", "q-page-container", "q-page"]) app.component(tag, plain);
  for (const [tag, component] of Object.entries(components)) app.component(tag, component);
  app.mount("#app");
  registerWorker(options.prefix);
}
