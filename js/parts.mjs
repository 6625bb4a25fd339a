// A widget in two parts: what its first picture needs, and panels that come once they are wanted.
//
// The second part is no copy of what the first has: modules of the first are handed to it. The build
// finds out which ones; `shared.ts` stands for them in the sources.

import { resolve } from "node:path";
import { build } from "esbuild";

const WHOLE = /\/code_here$/;
const SHARED = /\/shared\.ts$/;

/** Writes `NAME.first.js` and `NAME.more.js`: an entry without `more`, and `more`. */
export async function inTwoParts(name, entry, more, options) {
  const inFirst = await modulesOf({ ...options, entryPoints: [entry], plugins: [apart([])] });
  const wanted = [];
  const later = { ...options, entryPoints: { [`${name}.more`]: more } };
  await build({
    ...later,
    format: "iife",
    globalName: "later",
    banner: { js: "export default (shared) => {" },
    footer: { js: "return later; };" },
    plugins: [...options.plugins, given(inFirst, wanted)],
  });
  const first = { ...options, entryPoints: { [`${name}.first`]: entry } };
  await build({ ...first, plugins: [...options.plugins, apart(wanted)] });
}

async function modulesOf(options) {
  const { metafile } = await build({ ...options, write: false, metafile: true });
  return new Set(Object.keys(metafile.inputs).map((path) => resolve(path)));
}

/** The first part: fetches the other's code, and offers it these modules. */
const apart = (modules) => ({
  name: "apart",
  setup({ onResolve, onLoad, resolve: find }) {
    onResolve({ filter: WHOLE }, ({ path, ...from }) =>
      find(path.replace(WHOLE, "/code_apart"), from),
    );
    onLoad({ filter: SHARED }, () => ({
      resolveDir: ".",
      contents: [
        ...modules.map((path, i) => `import * as module${i} from ${JSON.stringify(path)};`),
        `export const shared = [${modules.map((_, i) => `module${i}`)}];`,
      ].join("\n"),
    }));
  },
});

/** The second part: modules of the first are given, and listed in the order in which they are. */
const given = (inFirst, wanted) => ({
  name: "given",
  setup({ onResolve, onLoad, resolve: find }) {
    onResolve({ filter: /./ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === "found" || from.kind === "entry-point") return undefined;
      const resolved = await find(path, { ...from, pluginData: "found" });
      if (!inFirst.has(resolved.path)) return resolved;
      if (!wanted.includes(resolved.path)) wanted.push(resolved.path);
      return { path: resolved.path, namespace: "given" };
    });
    onLoad({ filter: /./, namespace: "given" }, ({ path }) => ({
      contents: `module.exports = shared[${wanted.indexOf(path)}];`,
    }));
  },
});
