// Bundles the used parts of Apache ECharts into the file that the Python package ships.
//   npm ci --ignore-scripts && npm run build
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../src/liftwerk/server/static/echarts.min.js");
const versionOf = (name) =>
  JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"))).version;

const quote = (path) =>
  readFileSync(join(here, "node_modules", path), "utf8")
    .trim()
    .split("\n")
    .map((line) => ` *   ${line}`.trimEnd())
    .join("\n");

const banner = `/*!
 * Apache ECharts ${versionOf("echarts")} with ZRender ${versionOf("zrender")}: only the parts that liftwerk's pages use.
 * Built by frontend/build.mjs. Do not edit.
 *
 * Licensed to the Apache Software Foundation (ASF) under the Apache License, Version 2.0
 * (https://www.apache.org/licenses/LICENSE-2.0). Its notice:
${quote("echarts/NOTICE")}
 *
 * Parts of ECharts are derived from d3:
${quote("echarts/licenses/LICENSE-d3")}
 *
 * ZRender:
${quote("zrender/LICENSE")}
 *
 * tslib: Copyright (c) Microsoft Corporation, 0BSD.
 */`;

const result = await build({
  entryPoints: [join(here, "echarts.js")],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "echarts",
  target: "es2020",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  banner: { js: banner },
  write: false,
});
writeFileSync(target, result.outputFiles[0].contents);
console.log(`${target}: ${Math.round(statSync(target).size / 1000)} kB`);
