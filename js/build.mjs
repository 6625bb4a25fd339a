// One self-contained module a widget, and the style sheet they share, into the Python package.
// With --watch, again after every change.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { context } from "esbuild";

const out = "../vit_attention_widget/static";
const NO_WIDGETS = ["mount.tsx", "stores.ts", "isolate.ts", "keys_inside.ts"];
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const bundles = await context({
  entryPoints: readdirSync("src/entry")
    .filter((name) => !NO_WIDGETS.includes(name))
    .map((name) => `src/entry/${name}`),
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
});
if (process.argv.includes("--watch")) {
  await bundles.watch();
} else {
  await bundles.rebuild();
  await bundles.dispose();
}
