// One self-contained module a widget, and the style sheet they share, into the Python package.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = "../vit_attention_widget/static";
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  entryPoints: readdirSync("src/entry").map((name) => `src/entry/${name}`),
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
});
const sheets = ["style.css", "explorer.css", "images.css", "compare.css"].map((name) =>
  readFileSync(`src/${name}`, "utf8"),
);
writeFileSync(`${out}/style.css`, sheets.join("\n"));
