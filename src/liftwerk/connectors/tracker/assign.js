/*! liftwerk, Apache-2.0 */
// Who gets which arm, as the server says it: a page can ask here without waiting for an answer.
//
//     import { assign } from "…/assign.js";
//     const arm = assign(draw, unit, written);      // null: it does not enter
//
// `draw` is what `liftwerk.experiments.draw.twin` writes; `unit` is the unit's text (for a visitor
// `leafKey(namespace, value)`), `written` the identifier as it was written, which GrowthBook's
// hash takes. Whatever changes here changes there: a test holds the two together.

export function assign(draw, unit, written = unit) {
  if (draw.kept && below(sha256(`${draw.kept.salt}\0${unit}`), draw.kept.end)) return null;
  const place = draw.hash === "sha256" ? bySha256(draw, unit) : byGrowthBook(draw, written);
  return draw.arms[place] ?? null;
}

/** The leaf key of an identifier in its normalised spelling: the text of a customer or visitor. */
export function leafKey(namespace, value) {
  return sha256(`${namespace}\0${value}`).slice(0, 32);
}

// Digests stay hexadecimal text, whose order is that of the numbers it writes; an end of null is
// behind all of them.
const below = (digest, end) => end === null || digest < end;

function bySha256(draw, unit) {
  const digest = sha256(`${draw.salt}\0${unit}`);
  const position = draw.entry === draw.salt ? digest : sha256(`${draw.entry}\0${unit}`);
  if (position < draw.low || !below(position, draw.high)) return -1;
  const arm = digest.slice(16);
  const place = draw.ends.findIndex((end) => below(arm, end));
  return place < 0 ? draw.ends.length : place;
}

function byGrowthBook(draw, written) {
  if (draw.namespace) {
    const [layer, low, high] = draw.namespace;
    const inside = number(`__${layer}`, written, 1);
    if (inside < low || inside >= high) return -1;
  }
  const found = number(draw.salt, written, draw.hash === "growthbook" ? 2 : 1);
  let sum = 0;
  return draw.weights.findIndex((weight) => {
    const begin = sum;
    sum += weight;
    return found >= begin && found < begin + draw.coverage * weight;
  });
}

function number(seed, written, version) {
  if (version === 1) return (fnv1a(written + seed) % 1000) / 1000;
  return (fnv1a(String(fnv1a(seed + written))) % 10000) / 10000;
}

function fnv1a(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

// SHA-256 (FIPS 180-4), because the browser's own answers later and only on secure pages.
const [START, ROUNDS] = constants();

function constants() {
  const start = [];
  const rounds = [];
  for (let candidate = 2; rounds.length < 64; candidate++) {
    let isPrime = true;
    for (let by = 2; by * by <= candidate; by++) if (candidate % by === 0) isPrime = false;
    if (!isPrime) continue;
    if (start.length < 8) start.push(fraction(candidate ** (1 / 2)));
    rounds.push(fraction(candidate ** (1 / 3)));
  }
  return [start, rounds];
}

function fraction(root) {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

function sha256(text) {
  const bytes = new TextEncoder().encode(text);
  const blocks = new DataView(new ArrayBuffer((((bytes.length + 8) >> 6) + 1) << 6));
  bytes.forEach((byte, at) => blocks.setUint8(at, byte));
  blocks.setUint8(bytes.length, 0x80);
  blocks.setUint32(blocks.byteLength - 8, Math.floor(bytes.length / 2 ** 29));
  blocks.setUint32(blocks.byteLength - 4, bytes.length << 3);
  const state = Int32Array.from(START);
  const word = new Int32Array(64);
  const turn = (value, by) => (value >>> by) | (value << (32 - by));
  for (let block = 0; block < blocks.byteLength; block += 64) {
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 64; t++) {
      if (t < 16) word[t] = blocks.getInt32(block + 4 * t);
      else {
        const x = word[t - 15];
        const y = word[t - 2];
        word[t] =
          (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) +
          (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10)) +
          word[t - 7] +
          word[t - 16];
      }
      const one =
        h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[t] + word[t];
      const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, at) => (state[at] += value));
  }
  return Array.from(state, (value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
}
