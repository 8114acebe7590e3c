// An event as it goes on the wire. Its id is made here, once; sending again changes nothing.
import { settings, uuid } from "./page";

export interface Options {
  /** An id of your own, a UUID. */
  id?: string;
  version?: number;
  /** When it happened, as ISO 8601 with zone. */
  time?: string;
  /** Id of the decision that the event answers. */
  decision?: string;
  weight?: number;
  synthetic?: boolean;
}

interface Context {
  page: object;
  campaign: object | undefined;
  /** Events that had to be thrown away since the one before. */
  lost?: number | undefined;
}

export interface WireEvent extends Options {
  id: string;
  name: string;
  identifiers: Record<string, string>;
  session?: string;
  consent?: object;
  context: Context;
  properties: object;
}

const CAMPAIGN = ["source", "medium", "campaign", "term", "content"];

/** What `identify` said. It lasts as long as the page does. */
let known: Record<string, string> = {};

export function identify(identifiers: Record<string, string>): void {
  known = { ...known, ...identifiers };
}

export function forgetIdentifiers(): void {
  known = {};
}

function context(): Context {
  const asked = new URLSearchParams(location.search);
  let campaign: Record<string, string> | undefined;
  for (const part of CAMPAIGN) {
    const value = asked.get(`utm_${part}`);
    if (value) (campaign ??= {})[part] = value;
  }
  // Of the page before only the host, and no query: they hold names, tokens and searches.
  const referrer = document.referrer && new URL(document.referrer).hostname;
  return {
    page: {
      path: location.pathname,
      title: document.title,
      referrer: (referrer !== location.hostname && referrer) || undefined,
    },
    campaign,
  };
}

/** The declared version, as in `data-versions="order_completed:2, page_viewed:3"`. */
const versionOf = (name: string): number =>
  +(settings.versions?.match(`\\b${name}:(\\d+)`)?.[1] ?? 1);

export function make(name: string, properties: object = {}, options: Options = {}): WireEvent {
  return {
    id: uuid(),
    name,
    version: versionOf(name),
    time: new Date().toISOString(),
    ...options,
    identifiers: known,
    context: context(),
    properties,
  };
}
