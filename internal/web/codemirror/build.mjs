// Bundles CodeMirror for the SQL page: run `make codemirror` after changing
// package.json or entry.js. Writes ../assets/vendor/codemirror.js and
// codemirror.LICENSE.txt, which are committed.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";

const vendor = new URL("../assets/vendor/", import.meta.url);
const result = await build({
  entryPoints: ["entry.js"],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "CodeMirror",
  target: "es2020",
  legalComments: "none",
  metafile: true,
  write: false,
});

// The packages that are in the bundle, with their versions and licences.
const packages = new Map();
const [output] = Object.values(result.metafile.outputs);
for (const [file, { bytesInOutput }] of Object.entries(output.inputs)) {
  const name = file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1];
  if (!name || !bytesInOutput || packages.has(name)) continue;
  const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`));
  packages.set(name, { version, license, text: readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim() });
}
const names = [...packages.keys()].sort();
const list = names.map((n) => `${n} ${packages.get(n).version} (${packages.get(n).license})`);

writeFileSync(new URL("codemirror.js", vendor), `/* ${list.join(", ")}: see codemirror.LICENSE.txt */\n${result.outputFiles[0].text}`);
const byText = new Map();
for (const n of names) byText.set(packages.get(n).text, [...(byText.get(packages.get(n).text) ?? []), n]);
const licences = [...byText].map(([text, of]) => `${of.map((n) => list[names.indexOf(n)]).join("\n")}\n\n${text}\n`);
writeFileSync(new URL("codemirror.LICENSE.txt", vendor), licences.join("\n----\n\n"));
console.log(`${list.join("\n")}\n${result.outputFiles[0].text.length} bytes`);
