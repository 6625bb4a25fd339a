// One self-contained module a widget, and the style sheet they share, into the Python package.
// With --watch, again after every change.
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { context } from "esbuild";

const out = "../vit_attention_widget/static";
const NO_WIDGETS = ["loader.ts", "mount.tsx", "stores.ts", "isolate.ts", "keys_inside.ts"];

/** Bundles name the packages that are in them; LICENSES.txt beside them has these in full. */
const licenses = {
  name: "licenses",
  setup(build) {
    build.onEnd(({ metafile }) => {
      const texts = new Map();
      for (const [file, { inputs }] of Object.entries(metafile?.outputs ?? {})) {
        const folders = Object.keys(inputs).flatMap(
          (path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? [],
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

/** No form reaches into a widget's tree, so a button need not say that it submits none. */
const buttons = {
  name: "buttons",
  setup(build) {
    build.onLoad({ filter: /\.tsx$/ }, ({ path }) => {
      const contents = readFileSync(path, "utf8").replace(/^ *type="button"\n/gm, "\n");
      return { contents, loader: "tsx" };
    });
  },
};

/** Names of our own that stand there often, and that neither the kernel nor the page knows. */
const OURS =
  /^(store|info|allSinks|filled|canUndo|canRedo|resetPruned|saves|dragging|thumbnail|colours?|strengthSet|importances|placeOf|herePoints|headView|meanwhile|byManager|lastOverlay|classShares|remembered|toured|zoomBy|on(Threshold|Cluster|Move|Choose|Point|Present|Toggle|Reset|Lasso|End)|disconnected|traits|tensors|testid|brush|atlas|hovered(Head|Layer|Map)?|shown(Head|Token)|kernelRows|headScale|showBefore|toggle(Pruned\w*|Plain)|importanceBefore|layerDecisions|broughtThumbnails|comparisonMaps|strengthTensors|patternsHere|cell(Width|Height)|takeOver|targetName|patchesRefused)$/;

// The kernel would not know them: no name of the protocol may be among them.
const PROTOCOL = readFileSync("src/protocol/schema.ts", "utf8").match(
  /^ +"?\w+"?(?=\??:)|(?<=")\w+(?=")/gm,
);
const taken = PROTOCOL.map((name) => name.replaceAll(/\W/g, "")).filter((name) => OURS.test(name));
if (taken.length > 0) throw new Error(`build.mjs shortens names of the protocol: ${taken}`);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const common = { outdir: out, minify: true, format: "esm", target: "es2022" };
const loader = await context({ ...common, entryPoints: ["src/entry/loader.ts"] });
const bundles = await context({
  ...common,
  entryPoints: readdirSync("src/entry")
    .filter((name) => !NO_WIDGETS.includes(name))
    .map((name) => `src/entry/${name}`),
  bundle: true,
  // tsconfig.json goes before the options here.
  tsconfigRaw: {
    compilerOptions: { jsx: "react", jsxFactory: "h", jsxFragmentFactory: "Fragment" },
  },
  inject: ["jsx.mjs"],
  charset: "utf8",
  mangleProps: OURS,
  define: { "Number.NaN": "NaN", "Number.POSITIVE_INFINITY": "Infinity" },
  legalComments: "none",
  metafile: true,
  plugins: [licenses, buttons],
});
for (const made of [loader, bundles]) {
  if (process.argv.includes("--watch")) {
    await made.watch();
  } else {
    await made.rebuild();
    await made.dispose();
  }
}
