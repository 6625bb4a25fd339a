// The script of the live page, and that of its worker, into the folder that is named.
import { build } from "esbuild";

await build({
  entryPoints: ["src/live/page.ts", "src/live/worker.ts"],
  outdir: process.argv[2],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  external: ["./ort.js"],
  inject: ["jsx.mjs"],
  tsconfigRaw: {
    compilerOptions: { jsx: "react", jsxFactory: "h", jsxFragmentFactory: "Fragment" },
  },
  legalComments: "none",
});
