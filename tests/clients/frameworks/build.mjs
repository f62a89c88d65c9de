// Joins a program and all that it imports into one script for a page. Started by frameworks.py.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import process from "node:process";

const { entry, outfile, modules, aliases } = JSON.parse(process.argv[2]);
const from = createRequire(`${modules[0]}/`);
const { build } = from("esbuild");

/** Components of Svelte. */
const svelte = {
  name: "svelte",
  setup(bundler) {
    bundler.onLoad({ filter: /\.svelte$/ }, ({ path }) => {
      const { compile } = from("svelte/compiler");
      const { js } = compile(readFileSync(path, "utf8"), { filename: path, dev: true });
      return { contents: js.code, loader: "js" };
    });
  },
};

/** Components of Vue with `<script setup>`. */
const vue = {
  name: "vue",
  setup(bundler) {
    bundler.onLoad({ filter: /\.vue$/ }, ({ path }) => {
      const { parse, compileScript } = from("vue/compiler-sfc");
      const { descriptor } = parse(readFileSync(path, "utf8"), { filename: path });
      const { content } = compileScript(descriptor, { id: "app", inlineTemplate: true });
      return { contents: content, loader: "js" };
    });
  },
};

await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "iife",
  nodePaths: modules,
  alias: aliases,
  jsx: "automatic",
  conditions: ["browser", "development"],
  define: {
    "process.env.NODE_ENV": '"development"',
    __VUE_OPTIONS_API__: "true",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
  },
  plugins: [svelte, vue],
  logLevel: "warning",
});
