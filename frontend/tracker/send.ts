// Sending: one batch after the other, one tab at a time. An event leaves the queue only when the
// collector has answered for it; what is sent twice because a page was closed in between has the
// same id.
import { endpoint, guard, warn } from "./page";
import { bytes, put, read, remove, waiting } from "./queue";
import type { WireEvent } from "./event";

const enum Limit {
  GATHER_MS = 300,
  TIMEOUT_MS = 30_000,
  BACK_OFF_LEAST_MS = 500,
  BACK_OFF_MOST_MS = 150_000,
  /** Browsers let 64 KiB outlive a page. */
  BATCH_BYTES = 60_000,
}

/** Answers that no repetition would change. */
const SETTLED = [200, 400, 401, 403, 413, 422];

/**
 * Keys of what this page sees to -> whether it has been tried. What it made, and what it found:
 * other tabs see to their own, for one tab learns late of what another has taken out of storage.
 */
const mine = new Map<string, boolean>();
let open = false;
let turn: Promise<unknown> = Promise.resolve();
let failures = 0;
let quietUntil = 0;
let unreachable = false;

const mayNotSend = (): boolean =>
  !open || !navigator.onLine || performance.now() < quietUntil;

/** From now on what waits may be sent, and all that waits is ours. */
export function openQueue(): void {
  open = true;
  for (const key of waiting()) mine.set(key, false);
  schedule();
}

export function enqueue(event: WireEvent): void {
  mine.set(put(event), false);
  schedule();
}

/** Every event brings its own turn: the first sends what the others would. */
function schedule(): void {
  setTimeout(flush, Limit.GATHER_MS + Math.max(0, quietUntil - performance.now()));
}

const oneTab = async (): Promise<void> => navigator.locks.request("liftwerk", sendAll);

export function flush(): void {
  if (mayNotSend()) return;
  // Where the browser gives no locks, what a closed page left may be sent by two tabs.
  turn = turn.then(oneTab).catch(sendAll).catch(warn);
}

/** As many events as fit into one request, tried from now on, and their JSON. */
function batch(isAgain: boolean): [string[], string] {
  const taken: string[] = [];
  const texts: string[] = [];
  const sentAt = new Date().toISOString();
  let size = 2;
  for (const key of waiting()) {
    const isTried = mine.get(key);
    if (isTried === undefined || (isTried && !isAgain)) continue;
    const full = `${read(key).slice(0, -1)},"sent_at":"${sentAt}"}`;
    size += bytes(full) + 1;
    if (size > Limit.BATCH_BYTES) break;
    mine.set(key, true);
    taken.push(key);
    texts.push(full);
  }
  return [taken, `[${texts}]`];
}

const post = (body: string): Promise<Response> =>
  fetch(endpoint(), {
    method: "POST",
    body,
    keepalive: true,
    credentials: "omit",
    signal: AbortSignal.timeout?.(Limit.TIMEOUT_MS),
  });

async function sendAll(): Promise<void> {
  while (!mayNotSend()) {
    const [keys, body] = batch(true);
    if (!keys.length) return;
    let status = 0;
    let pause = 0;
    try {
      const response = await post(body);
      status = response.status;
      pause = 1000 * +response.headers.get("retry-after")! || 0;
      const { detail, refused = [] } = await response.json();
      if (detail) warn(detail);
      for (const { reason, path } of refused) warn(`refused: ${reason} at ${path}`);
    } catch {
      // No answer, or none of the collector's: the status says which.
    }
    if (SETTLED.includes(status)) {
      remove(keys);
      for (const key of keys) mine.delete(key);
      failures = 0;
      continue;
    }
    for (const key of keys) mine.set(key, false);
    // Half of it is drawn, so that browsers which failed together do not come back together.
    const backOff = Math.min(Limit.BACK_OFF_MOST_MS, Limit.BACK_OFF_LEAST_MS * 2 ** failures++);
    quietUntil = performance.now() + pause + backOff * (1 + Math.random());
    unreachable = !status;
    schedule();
  }
}

/** The page may be gone in a moment: hand what it made to the browser. */
function hand(): void {
  while (!mayNotSend()) {
    const [keys, body] = batch(false);
    if (!keys.length) return;
    // No answer will be seen, so the events stay: the next page of the shop makes sure of them.
    if (!navigator.sendBeacon?.(endpoint(), body)) post(body).catch(() => 0);
  }
}

export function watchPage(): void {
  const leave = guard(hand);
  addEventListener("pagehide", leave);
  addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
  });
  addEventListener("online", () => {
    // A pause that the collector asked for still counts.
    if (unreachable) quietUntil = 0;
    flush();
  });
}
