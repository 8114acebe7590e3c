// Bundles the tracker into the file that the Python package ships, or into the file named.
//   npm ci --ignore-scripts && npm run build
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = argv[2] ?? join(here, "../../src/liftwerk/connectors/tracker/t.js");

const result = await build({
  entryPoints: [join(here, "main.ts")],
  tsconfigRaw: "{}",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2021",
  legalComments: "none",
  banner: { js: "/*! liftwerk, Apache-2.0 */" },
  write: false,
});
writeFileSync(target, result.outputFiles[0].contents);
console.log(`${target}: ${gzipSync(readFileSync(target), { level: 9 }).length} bytes gzipped`);
