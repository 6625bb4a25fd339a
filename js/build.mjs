// One self-contained module a widget, those of some in two parts as well, and the style sheet they
// share, into the Python package. With --watch, the whole modules again after every change.
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { build, context } from "esbuild";
import { inTwoParts } from "./parts.mjs";

const out = "../vit_attention_widget/static";
const NO_WIDGETS = [
  "loader.ts",
  "mount.tsx",
  "stores.ts",
  "isolate.ts",
  "keys_inside.ts",
  "views.ts",
];

const TWO_PARTS = [
  {
    name: "explorer",
    entry: "src/entry/explorer.tsx",
    more: "src/views/explorer/later_panels.tsx",
    here: ["src/views/explorer/code_here"],
  },
  {
    name: "head_grid",
    entry: "src/entry/head_grid.tsx",
    more: "src/views/heads/later_parts.tsx",
    here: ["src/views/heads/code_here"],
  },
];

const texts = new Map();

/** Bundles name the packages that are in them; LICENSES.txt beside them has these in full. */
const licenses = {
  name: "licenses",
  setup({ onEnd }) {
    onEnd(({ metafile }) => {
      for (const [file, { inputs }] of Object.entries(metafile?.outputs ?? {})) {
        const folders = Object.keys(inputs).flatMap(
          (path) => path.match(/^(?!given:).*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? [],
        );
        for (const folder of new Set(folders)) {
          const { name, version, license } = JSON.parse(
            readFileSync(`${folder}/package.json`, "utf8"),
          );
          const text = readFileSync(`${folder}/LICENSE`, "utf8").trim();
          const holder = text.match(/^Copyright .*$/m)?.[0];
          appendFileSync(file, `/*! ${name} ${version}, ${license}. ${holder} */\n`);
          texts.set(name, `${name} ${version}\n\n${text}\n`);
        }
      }
      writeFileSync(`${out}/LICENSES.txt`, [...texts.values()].join("\n\n"));
    });
  },
};

/** Names that are said often, and inside the bundles alone: short there, and the same in all of them. */
const INSIDE = [
  "store",
  "brush",
  "unanswered",
  "importanceHere",
  "storedHeads",
  "traits",
  "shownToken",
  "shownHead",
  "hoveredHead",
  "hoveredLayer",
  "hoveredMap",
  "headZoom",
  "headScale",
  "headView",
  "kernelRows",
  "importanceBefore",
  "importances",
  "layerDecisions",
  "broughtThumbnails",
  "comparisonMaps",
  "patternsHere",
  "strengthTensors",
  "strengthSet",
  "togglePruned",
  "togglePrunedBrush",
  "togglePrunedChosen",
  "resetPruned",
  "disconnected",
  "lastOverlay",
  "canFollow",
  "askForRows",
  "askForMore",
  "partsOf",
  "allSinks",
  "firstLayer",
  "cellWidth",
  "cellHeight",
  "requests",
  "filled",
  "waiting",
  "thumbnail",
  "inView",
  "isStop",
  "estimate",
  "ofValue",
  "colour",
  "canUndo",
  "canRedo",
  "showBefore",
  "refusal",
  "stopLayer",
];

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const common = { outdir: out, minify: true, format: "esm", target: "es2022" };
const bundled = {
  ...common,
  bundle: true,
  // tsconfig.json goes before the options here.
  tsconfigRaw: {
    compilerOptions: { jsx: "react", jsxFactory: "h", jsxFragmentFactory: "Fragment" },
  },
  inject: ["jsx.mjs"],
  charset: "utf8",
  define: { "Number.NaN": "NaN", "Number.POSITIVE_INFINITY": "Infinity" },
  mangleProps: new RegExp(`^(${INSIDE.join("|")})$`),
  mangleCache: Object.fromEntries(INSIDE.map((name, i) => [name, `$${i.toString(36)}`])),
  legalComments: "none",
  metafile: true,
  plugins: [licenses],
};
const widgets = {
  ...bundled,
  entryPoints: readdirSync("src/entry")
    .filter((name) => !NO_WIDGETS.includes(name))
    .map((name) => `src/entry/${name}`),
};
await build({ ...common, entryPoints: ["src/entry/loader.ts"] });
if (process.argv.includes("--watch")) {
  await (await context(widgets)).watch();
} else {
  await build(widgets);
  for (const parts of TWO_PARTS) await inTwoParts(parts, bundled);
}
