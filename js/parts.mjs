// A widget in two parts: what its first picture needs, and views that come once they are wanted.
//
// The second part is no copy of what the first has: what it uses of the first is handed to it. The
// build finds out what that is; `ui/shared.ts` stands for it in the sources.

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { build } from "esbuild";

const APART = "src/ui/code_apart.ts";
const SHARED = /\/shared\.ts$/;

/**
 * Writes `NAME.first.js` and `NAME.more.js`: an entry without the views that some `code_here.ts`
 * would give it, and these views, of which `more` is the list.
 */
export async function inTwoParts({ name, entry, more, here }, options) {
  const { plugins } = options;
  const first = { ...options, entryPoints: { [`${name}.first`]: entry } };
  const inFirst = await modulesOf({ ...first, plugins: [apart(here, [])] });
  const { outputFiles, metafile } = await build({
    ...options,
    entryPoints: [more],
    write: false,
    plugins: [outside(inFirst)],
  });
  if (Object.keys(metafile.inputs).some((path) => path.includes("node_modules")))
    throw new Error(`A package is in the second part of ${name} alone: it must name its license.`);
  const { code, used } = given(outputFiles[0].text);
  writeFileSync(`${options.outdir}/${name}.more.js`, code);
  await build({ ...first, plugins: [...plugins, apart(here, used)] });
}

async function modulesOf(options) {
  const { metafile } = await build({ ...options, write: false, metafile: true });
  return new Set(Object.keys(metafile.inputs).map((path) => resolve(path)));
}

/** The first part: fetches the other's code, and offers it what it uses, each a module and a name. */
const apart = (here, used) => ({
  name: "apart",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/code_here$/ }, ({ path, resolveDir }) =>
      here.some((file) => resolve(resolveDir, path) === resolve(file))
        ? { path: resolve(APART) }
        : undefined,
    );
    onLoad({ filter: SHARED }, () => ({
      resolveDir: ".",
      contents: [
        ...used.map(
          ([module, name], i) => `import { ${name} as used${i} } from ${JSON.stringify(module)};`,
        ),
        `export const shared = () => [${used.map((_, i) => `used${i}`)}];`,
      ].join("\n"),
    }));
  },
});

/** Leaves modules of the first part out of the second. */
const outside = (inFirst) => ({
  name: "outside",
  setup({ onResolve, resolve: find }) {
    onResolve({ filter: /./ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === "resolved" || from.kind === "entry-point") return undefined;
      const resolved = await find(path, { ...from, pluginData: "resolved" });
      return inFirst.has(resolved.path) ? { path: resolved.path, external: true } : resolved;
    });
  },
});

/** The second part as a function of what it uses, and what that is, in its order. */
function given(text) {
  const used = [];
  const locals = [];
  const rest = text.replace(
    /import\s*(?:\{([^}]*)\}\s*from\s*)?"([^"]+)";/g,
    (_, names, module) => {
      for (const each of names?.split(",") ?? []) {
        const [name, local = name] = each.trim().split(/\s+as\s+/);
        used.push([module, name]);
        locals.push(local);
      }
      return "";
    },
  );
  const [, body, later] = rest.match(/^([\s\S]*)export\s*\{\s*(\S+) as later\s*\};\s*$/) ?? [];
  if (!later || /(^|;)(import|export)\b/.test(body))
    throw new Error("The second part imports or exports in a way that parts.mjs does not know.");
  return { code: `export default([${locals}])=>{${body}return ${later}};\n`, used };
}
