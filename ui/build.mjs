// Builds the page from src into dist: one script, one style sheet, an icon and the licence of what is bundled. Names carry
// a hash of the content, so that browsers may keep the files for ever; each file is also there packed with gzip.
//
// `node build.mjs --tests DIR` bundles the tests into DIR instead, for node's own test runner.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const at = (...names) => path.join(here, ...names);

const common = { absWorkingDir: here, bundle: true, target: "es2022", logLevel: "warning", charset: "utf8" };

async function bundle() {
  const built = await esbuild.build({
    ...common,
    entryPoints: ["src/main.ts"],
    outdir: "out",
    minify: true,
    format: "esm",
    legalComments: "none",
    write: false,
  });
  return built.outputFiles.map((file) => [path.basename(file.path), Buffer.from(file.contents)]);
}

function hashed(name, content) {
  const { name: stem, ext } = path.parse(name);
  return `${stem}-${createHash("sha256").update(content).digest("hex").slice(0, 12)}${ext}`;
}

async function page() {
  const fresh = at("dist.new");
  await rm(fresh, { recursive: true, force: true });
  await mkdir(path.join(fresh, "assets"), { recursive: true });
  const files = await bundle();
  files.push(["icon.svg", await readFile(at("src/icon.svg"))]);
  files.push(["licences.txt", await readFile(at("node_modules/uplot/LICENSE"))]);
  let index = await readFile(at("index.html"), "utf8");
  for (const [name, content] of files) {
    const kept = `assets/${hashed(name, content)}`;
    if (!index.includes(`"assets/${name}"`)) throw new Error(`index.html does not name assets/${name}`);
    index = index.replaceAll(`"assets/${name}"`, `"${kept}"`);
    await writeFile(path.join(fresh, kept), content);
    await writeFile(path.join(fresh, `${kept}.gz`), gzipSync(content, { level: 9 }));
    console.log(`${kept}: ${content.length} bytes, ${gzipSync(content, { level: 9 }).length} packed`);
  }
  await writeFile(path.join(fresh, "index.html"), index);
  // In one step: whoever builds the daemon meanwhile sees the whole page or none.
  await rm(at("dist"), { recursive: true, force: true });
  await rename(fresh, at("dist"));
}

async function tests(outdir) {
  const of = async (dir) => (await readdir(at(dir))).filter((name) => name.endsWith(".test.ts")).map((name) => `${dir}/${name}`);
  await esbuild.build({
    ...common,
    entryPoints: [...(await of("test")), ...(await of("browser"))],
    outdir,
    outbase: here,
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
    external: ["playwright-core"],
  });
}

const [mode, dir] = process.argv.slice(2);
if (mode === "--tests") await tests(path.resolve(dir));
else await page();
