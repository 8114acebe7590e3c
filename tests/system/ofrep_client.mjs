// OpenFeature's own client for Node with its OFREP provider, unchanged: asks what comes in.
//
//     node ofrep_client.mjs ADDRESS KEY < [[flag, context], …]

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("../../frontend/package.json", import.meta.url));
const { OpenFeature } = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");

const [baseUrl, key] = process.argv.slice(2);
const headers = [["Authorization", `Bearer ${key}`]];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = OpenFeature.getClient();
const answers = [];
for (const [flag, context] of JSON.parse(readFileSync(0, "utf8"))) {
  answers.push(await client.getStringDetails(flag, "my own default", context));
}
console.log(JSON.stringify(answers));
