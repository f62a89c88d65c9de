// The rules for the scripts that browsers run, and for those of the tests. Formatting is Prettier's, types are TypeScript's (tsconfig.json).
import js from "@eslint/js";
import globals from "globals";

const CLASSIC = ["assets/account.js", "assets/math.js"]; // loaded by <script>, not as modules

export default [
  {
    ignores: [
      "**/katex/",
      "**/node_modules/",
      ".venv/",
      "build/",
      "dist/",
      "test-results/",
      "assets/client/package/",
      "assets/client/*.mjs",
    ],
  },
  js.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-empty": ["error", { allowEmptyCatch: true }],
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "max-lines": ["error", 400],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  { files: ["tests/doors/*.mjs"], languageOptions: { globals: { ...globals.node } } },
  { files: CLASSIC, languageOptions: { sourceType: "script" } },
];
