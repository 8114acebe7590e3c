// Writes tc_strings.json: TC strings, and what IAB's own library says is in them. See README.md.
//
// A string is made field by field with the library's encoder, not with `TCString.encode`, which
// mends a model until it agrees with a vendor list: what browsers send is not always mended.
import { writeFileSync } from 'node:fs';
import {
  GVL, PurposeRestriction, Segment, SegmentEncoder, TCModel, TCString,
} from '@iabtcf/core';

let seed = 20260301;

/** A number in [0, 1): mulberry32, so that every run writes the same file. */
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}

const below = (most) => Math.floor(random() * most);
const some = (most, share) =>
  Array.from({ length: most }, (_, index) => index + 1).filter(() => random() < share);

/** A vendor list of which only the ids matter. */
function vendorList(most) {
  const vendors = {};
  const purposes = {};
  for (let id = 1; id <= 11; id += 1) purposes[id] = { id, name: `Purpose ${id}` };
  for (let id = 1; id <= most; id += 1) {
    vendors[id] = {
      id, name: `Vendor ${id}`, purposes: [2, 3, 4, 5, 6], legIntPurposes: [7, 8, 9, 10],
      flexiblePurposes: [2, 7, 8, 9, 10], specialPurposes: [], features: [], specialFeatures: [],
    };
  }
  return new GVL({
    gvlSpecificationVersion: 3, vendorListVersion: 1 + below(4000), tcfPolicyVersion: 2 + below(4),
    lastUpdated: '2026-01-01T00:00:00Z', purposes, specialPurposes: {}, features: {},
    specialFeatures: {}, stacks: {}, vendors,
  });
}

function made(number) {
  const most = [0, 12, 60, 400, 1300][number % 5];
  const model = new TCModel(vendorList(most));
  const day = Date.UTC(2020, 0, 1) + below(2500) * 86400000;
  model.created = new Date(day);
  model.lastUpdated = new Date(day + [0, below(864000) * 100][number % 2]);
  model.cmpId = 2 + below(4000);
  model.cmpVersion = 1 + below(4000);
  model.consentScreen = below(64);
  model.consentLanguage = ['EN', 'DE', 'FR'][below(3)];
  model.vendorListVersion = 1 + below(4000);
  model.policyVersion = 2 + below(4);
  model.isServiceSpecific = random() < 0.8;
  model.purposeOneTreatment = random() < 0.1;
  model.publisherCountryCode = 'DE';
  model.purposeConsents.set(some(11, random()));
  model.purposeLegitimateInterests.set(some(11, random()));
  model.specialFeatureOptins.set(some(2, 0.5));
  // Dense ones are written as bit fields, sparse ones and whole blocks as ranges.
  const share = [0.5, 0.02, 1, 0][below(4)];
  model.vendorConsents.set(some(most, share));
  model.vendorLegitimateInterests.set(some(most, [0.5, 0.02, 1, 0][below(4)]));
  if (most > 0) {
    for (let turn = below(4); turn > 0; turn -= 1) {
      const restriction = new PurposeRestriction([2, 7, 8, 9, 10][below(5)], below(3));
      some(most, 0.1).forEach((id) => model.publisherRestrictions.add(id, restriction));
    }
  }
  const segments = [Segment.CORE];
  if (number % 3 === 1) {
    model.vendorsDisclosed.set(some(most, 0.7));
    segments.push(Segment.VENDORS_DISCLOSED);
  }
  if (number % 4 === 2) {
    model.publisherConsents.set(some(11, 0.5));
    segments.push(Segment.PUBLISHER_TC);
  }
  if (number % 7 === 3) {
    model.vendorsAllowed.set(some(most, 0.5));
    segments.push(Segment.VENDORS_ALLOWED);
  }
  return segments.map((segment) => SegmentEncoder.encode(model, segment)).join('.');
}

const ids = (vector) => {
  const found = [];
  vector.forEach((value, id) => { if (value) found.push(id); });
  return found;
};

/** Ids as "1-3 7", so that the file stays small. */
function short(numbers) {
  const parts = [];
  numbers.forEach((id) => {
    const last = parts[parts.length - 1];
    if (last && last[1] === id - 1) last[1] = id;
    else parts.push([id, id]);
  });
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(' ');
}

function decoded(text) {
  let model;
  try {
    model = TCString.decode(text);
  } catch {
    return null;
  }
  const restrictions = {};
  for (const restriction of model.publisherRestrictions.getRestrictions()) {
    const key = `${restriction.purposeId} ${restriction.restrictionType}`;
    restrictions[key] = short(model.publisherRestrictions.getVendors(restriction));
  }
  return {
    updated: model.lastUpdated.toISOString(), cmp: model.cmpId, list: model.vendorListVersion,
    policy: model.policyVersion, purposes: ids(model.purposeConsents),
    interests: ids(model.purposeLegitimateInterests), vendors: short(ids(model.vendorConsents)),
    interest_vendors: short(ids(model.vendorLegitimateInterests)),
    disclosed: text.split('.').slice(1).some((part) => 'IJKLMNOP'.includes(part[0]))
      ? short(ids(model.vendorsDisclosed)) : null,
    restrictions,
  };
}

const whole = Array.from({ length: 150 }, (_, number) => made(number));
const torn = whole.slice(0, 60).map((text) => {
  const core = text.split('.')[0];
  return core.slice(0, 1 + below(core.length));
});
const lines = [...whole, ...torn].map((text) => JSON.stringify({ text, decoded: decoded(text) }));
writeFileSync('tc_strings.json', `[\n${lines.join(',\n')}\n]\n`);
