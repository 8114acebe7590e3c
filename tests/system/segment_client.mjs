// Segment's own client for Node, unchanged: makes the calls that come in, and says what failed.
//
//     node segment_client.mjs HOST KEY < calls.json

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("../../frontend/package.json", import.meta.url));
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey] = process.argv.slice(2);
const client = new Analytics({ host, writeKey, flushAt: 5, maxRetries: 8 });
const errors = [];
client.on("error", (error) => errors.push(String(error.reason ?? error.code)));
for (const [call, message] of JSON.parse(readFileSync(0, "utf8"))) {
  client[call](message);
}
await client.closeAndFlush();
console.log(JSON.stringify(errors));
