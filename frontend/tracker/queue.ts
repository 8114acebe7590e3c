// Events that wait to be sent: in memory until there is consent, then in localStorage, so that
// they outlive the page. Each has a key of its own: tabs that write at once take nothing from
// each other.
import type { WireEvent } from "./event";
import { uuid } from "./page";

/** Where visitor and session are kept. */
export const VISIT = "liftwerk";
const PREFIX = VISIT + ".";

const enum Limit {
  EVENTS = 200,
  SIZE = 64_000,
  EVENT_BYTES = 32_000,
  SESSION_MS = 30 * 60_000,
  /** Well inside the 30 days in which the collector knows an id again. */
  AGE_MS = 14 * 86_400_000,
}

type Store = Record<string, string>;

let store: Store = {};
let last = 0;
/** Events thrown away that no event has told of yet. */
let lost = 0;

export const bytes = (text: string): number => new Blob([text]).size;

/** Keys of what waits, in the order in which it happened. */
export const waiting = (): string[] => 
  Object.keys(store)
    .filter((key) => key.startsWith(PREFIX))
    .sort();

export const read = (key: string): string => store[key]!;

export function remove(keys: string[]): void {
  for (const key of keys) delete store[key];
}

/** Let an event wait; gives its key. */
export function put(event: WireEvent): string {
  event.context.lost = lost || undefined;
  const text = JSON.stringify(event);
  if (bytes(text) > Limit.EVENT_BYTES) {
    lost++;
    throw Error(`${event.name} is too large`);
  }
  // Milliseconds, then a count: the order of one tab stands, even if its clock is set back.
  last = Math.max(last + 1, Date.now() * 1000);
  const key = PREFIX + last + event.id;
  write(key, text);
  lost = 0;
  trim();
  return key;
}

function write(key: string, text: string): void {
  try {
    store[key] = text;
  } catch {
    // The page has filled its storage: from here on its memory has to do.
    store = { ...store, [key]: text };
  }
}

/** Throw away the oldest beyond the limits. */
function trim(): void {
  let size = 0;
  let count = 0;
  for (const key of waiting().reverse()) {
    size += store[key]!.length;
    count++;
    const isOld = key < PREFIX + (Date.now() - Limit.AGE_MS);
    if (size > Limit.SIZE || count > Limit.EVENTS || isOld) {
      delete store[key];
      lost++;
    }
  }
}

/** There is consent: keep what waits, each completed by `complete`, in localStorage. */
export function keep(complete: (event: WireEvent) => void): void {
  const held = store;
  const keys = waiting();
  try {
    localStorage[VISIT] ??= "";
    store = localStorage;
  } catch {
    // Storage is barred or full: the page's memory has to do.
  }
  for (const key of keys) {
    const event = JSON.parse(held[key]!);
    complete(event);
    write(key, JSON.stringify(event));
  }
  trim();
}

/** Take everything away that is stored, and `all` that waits in memory too. */
export function forget(all: boolean): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(VISIT)) delete localStorage[key];
    }
  } catch {
    // Barred: then nothing is stored.
  }
  if (all) store = {};
}

interface Visit {
  visitor: string;
  session: string;
  seen: number;
}

function stored(): Partial<Visit> {
  try {
    return JSON.parse(store[VISIT] ?? localStorage[VISIT]);
  } catch {
    // Nothing there, or nothing that we wrote.
    return {};
  }
}

/** Who was here before with consent, even if nobody has said anything on this page. */
export const storedVisitor = (): string | undefined => stored().visitor;

/** Let the next event make a new visitor. */
export const renew = (): void => write(VISIT, "");

/** The visitor's id and session, made where there is none; only to be called with consent. */
export function visit(): Visit {
  const { visitor, session, seen = 0 } = stored();
  const now = Date.now();
  const current = {
    visitor: visitor ?? uuid(),
    session: session && now - seen < Limit.SESSION_MS ? session : uuid(),
    seen: now,
  };
  write(VISIT, JSON.stringify(current));
  return current;
}
