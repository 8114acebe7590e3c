// The tracker's assign.js, asked about many units: {draws, units: [unit, written][]} -> arms.
import { readFileSync } from "node:fs";

const { assign, leafKey } = await import(process.argv[2]);
const { draws, units, identifiers } = JSON.parse(readFileSync(0, "utf8"));
const arms = draws.map((draw) => units.map(([unit, written]) => assign(draw, unit, written)));
const keys = identifiers.map(([namespace, value]) => leafKey(namespace, value));
console.log(JSON.stringify({ arms, keys }));
