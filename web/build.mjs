// Bundles src/ into assets/ and writes the two pages beside it. `node build.mjs FOLDER` writes there instead.
import * as esbuild from "esbuild";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? here;
const assets = join(out, "assets");
process.chdir(here);
rmSync(assets, { recursive: true, force: true });
mkdirSync(assets, { recursive: true });

const options = {
  bundle: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: "es2022",
  outdir: assets,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  jsx: "automatic",
  charset: "utf8",
  legalComments: "none",
  loader: { ".graphql": "text", ".ttf": "file" },
  define: { "process.env.NODE_ENV": '"production"', "globalThis.__DEV__": "false" },
  logLevel: "warning",
  plugins: [{
    // graphiql/style.css has the editor's styles in it; each of its lazy parts would bring them along once more.
    name: "one-style-sheet",
    setup: ({ onLoad }) => onLoad({ filter: /node_modules\/monaco-editor\/.*\.css$/ }, () => ({ contents: "", loader: "css" })),
  }, {
    // GraphiQL calls them tabs, and puts two buttons into each, which a screen reader does not find there. They are
    // items of a list here, the current one of which is named.
    name: "tabs-as-list",
    setup: ({ onLoad }) => onLoad({ filter: /@graphiql\/react\/dist\/components\/tabs\/index\.js$/ }, ({ path }) => ({
      contents: replaced(readFileSync(path, "utf8"), [
        ['role: "tab",', ""],
        ['role: "tablist",', ""],
        ['"aria-selected": isActive', '"aria-current": isActive ? "true" : undefined'],
      ]),
    })),
  }],
};

const workers = await esbuild.build({
  ...options,
  format: "iife",
  entryPoints: {
    "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
    "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
    "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
  },
});
const pages = await esbuild.build({
  ...options,
  splitting: true,
  entryPoints: { page: "src/page/main.tsx", graphiql: "src/graphiql/main.tsx" },
  define: {
    ...options.define,
    EDITOR_WORKER: url(workers, "editor.worker"),
    JSON_WORKER: url(workers, "json.worker"),
    GRAPHQL_WORKER: url(workers, "graphql.worker"),
  },
});

// Lazy parts whose styles were left out have empty sheets, which nothing asks for.
for (const [path, { bytes }] of Object.entries(pages.metafile.outputs)) {
  if (path.endsWith(".css") && bytes === 0) rmSync(path);
}

for (const [name, entry] of [["index.html", "page"], ["graphiql.html", "graphiql"]]) {
  const template = readFileSync(join("src", entry, "page.html"), "utf8");
  const links = [
    `<link rel="stylesheet" href=${url(pages, entry, ".css")}>`,
    `<script type="module" src=${url(pages, entry)}></script>`,
  ];
  writeFileSync(join(out, name), template.replace("<!-- assets -->", links.join("\n  ")));
}
writeFileSync(join(assets, "LICENSES.txt"), licenses([workers, pages]));

function replaced(text, pairs) {
  for (const [old, fresh] of pairs) {
    if (text.split(old).length !== 2) throw new Error(`not once in the text: ${old}`);
    text = text.replace(old, fresh);
  }
  return text;
}

/** Where the pages find what was made of an entry point, as a JavaScript string. */
function url(result, entry, ending = ".js") {
  const made = Object.keys(result.metafile.outputs).map((path) => basename(path));
  const name = made.find((each) => each.startsWith(`${entry}-`) && each.endsWith(ending));
  return JSON.stringify(`/assets/${name}`);
}

/** The licence of every package that a byte of the bundles comes from. */
function licenses(results) {
  const folders = new Set();
  for (const output of results.flatMap((result) => Object.values(result.metafile.outputs))) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const found = input.match(/^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/);
      if (found && bytesInOutput > 0) folders.add(found[0]);
    }
  }
  const texts = [...folders].map((folder) => {
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const files = readdirSync(folder).filter((name) => /^(licen[cs]e|notice)/i.test(name)).sort();
    const texts = files.map((name) => readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n").trim());
    return `${about.name} ${about.version} (${about.license})\n\n${texts.join("\n\n")}\n`;
  });
  return texts.sort().join(`\n${"-".repeat(80)}\n\n`);
}
