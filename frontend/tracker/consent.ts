// Whether there is consent, who says so, and what follows from it.
import { forgetIdentifiers, make, type WireEvent } from "./event";
import { anonymous, guard, objects, settings, uuid } from "./page";
import { forget, keep, renew, storedVisitor, visit, VISIT } from "./queue";
import { enqueue, openQueue } from "./send";

interface TcData {
  tcString?: string;
  eventStatus?: string;
  purpose: { consents: Record<number, boolean> };
}

declare global {
  interface Window {
    __tcfapi?: (
      command: "addEventListener",
      version: 2,
      callback: (data: TcData, success: boolean) => void,
    ) => void;
    dataLayer?: unknown[];
  }
}

export interface Change {
  granted?: string[];
  withdrawn?: string[];
  /** Which text was agreed to. */
  version?: string;
  /** When, as ISO 8601 with zone, if not now. */
  at?: string;
}

const enum Tcf {
  /** Purpose 1: to store and read on a device. */
  STORAGE = 1,
  POLL_MS = 500,
}

/** As the envelope carries it; null where it was refused, undefined while nobody has said. */
let consent: object | null | undefined;
/** What the page has granted by `say`. */
let purposes: string[] = [];
/** Who a visitor without consent is, for as long as the page lasts. */
let passerBy = uuid();

const namespace = settings.visitor ?? "visitor";

/** Give an event what needs consent: who, which session, and the consent itself. */
function complete(event: WireEvent): void {
  if (event.identifiers[namespace]) return;
  const { visitor, session } = visit();
  event.identifiers = { ...event.identifiers, [namespace]: visitor };
  event.session = session;
  event.consent = consent!;
}

/** Let an event go the way that consent allows. */
export function record(event: WireEvent): void {
  if (consent) complete(event);
  else if (anonymous) event.identifiers = { [namespace]: passerBy };
  else if (consent === null) return;
  enqueue(event);
}

function decide(next: object | null): void {
  const before = consent;
  consent = next;
  if (next && before) return;
  if (next) keep(complete);
  else {
    purposes = [];
    // Anonymous events need no consent; what was made with it goes.
    forget(!anonymous || !!before);
  }
  openQueue();
}

/** The page tells what the visitor chose. */
export function say({ granted = [], withdrawn = [], version, at }: Change): void {
  const visitor = storedVisitor();
  const left = [...new Set([...purposes, ...granted])].filter((name) => !withdrawn.includes(name));
  purposes = left;
  const choice = { granted: left, source: "api", version, at: at ?? new Date().toISOString() };
  decide(left.length ? choice : null);
  if (withdrawn.length && visitor) {
    // The one event that may follow a withdrawal: without it the collector would go on.
    const notice = make("consent_changed", { granted: left, withdrawn });
    notice.identifiers = { ...notice.identifiers, [namespace]: visitor };
    notice.consent = choice;
    enqueue(notice);
  }
}

/** Somebody else uses this browser from now on. */
export function reset(): void {
  forgetIdentifiers();
  passerBy = uuid();
  if (consent) renew();
}

/** Ask a consent manager of IAB's Transparency and Consent Framework. */
function listenTcf(): void {
  if (!window.__tcfapi) {
    setTimeout(listenTcf, Tcf.POLL_MS);
    return;
  }
  const hear = (data: TcData, success: boolean) => {
    if (success && data.tcString && data.eventStatus !== "cmpuishown") {
      decide(data.purpose.consents[Tcf.STORAGE] ? { tcf: data.tcString } : null);
    }
  };
  window.__tcfapi("addEventListener", 2, guard(hear));
}

/** Read along what is said to Google's Consent Mode. */
function listenGcm(): void {
  const state: Record<string, string> = {};
  let isChosen = false;
  const hear = guard((entries: unknown[]) => {
    let isNews = false;
    for (const entry of entries) {
      const [command, kind, values] = Array.from((entry ?? []) as ArrayLike<any>);
      if (command !== "consent") continue;
      const isUpdate = kind === "update";
      isNews = true;
      isChosen ||= isUpdate;
      // A default for some regions may not be meant for this visitor, so it can only deny; and it
      // is nobody's choice, so it can only deny to those who object.
      const canGrant = isUpdate || !(values.region || objects);
      for (const name in values) {
        const value = values[name];
        if (value === "denied" || (canGrant && value === "granted")) state[name] = value;
      }
    }
    const isGranted = state.analytics_storage === "granted" || state.ad_storage === "granted";
    // A default that denies is asked about in a moment: until then events wait.
    if (isNews && (isGranted || isChosen)) decide(isGranted ? { gcm: { ...state } } : null);
  });
  const layer = (window.dataLayer ??= []);
  const push = layer.push;
  layer.push = (...entries) => {
    hear(entries);
    return push.apply(layer, entries);
  };
  hear(layer);
}

export function listen(): void {
  if (settings.consent === "tcf") listenTcf();
  if (settings.consent === "gcm") listenGcm();
  if (anonymous) openQueue();
  addEventListener("storage", ({ key, newValue }) => {
    // Consent was withdrawn in another tab.
    if (consent && key === VISIT && newValue === null) decide(null);
  });
}
