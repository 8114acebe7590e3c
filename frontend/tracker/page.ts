// What the tracker needs of the page: its settings, and how to fail without being noticed.

const script = document.currentScript as HTMLScriptElement | null;

/** The `data-…` attributes of the script tag. */
export const settings: DOMStringMap = script?.dataset ?? {};

/** Beside the script, wherever a shop's proxy puts it. Keys are made of what an address may hold. */
export const endpoint = (): URL => new URL(`v1/events?key=${settings.key}`, script!.src);

/** Do Not Track or Global Privacy Control: what a page presumes is then no consent. */
export const objects =
  settings.privacySignals !== "ignore" &&
  ((navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl ||
    navigator.doNotTrack === "1");

/** Whether events without identifiers that last may go out before consent. */
export const anonymous = settings.withoutConsent === "send" && !objects;

const said: Record<string, boolean> = {};

/** Say something in the console, once. */
export function warn(message: unknown): void {
  const text = `liftwerk: ${message}`;
  if (!said[text]) console.warn(text);
  said[text] = true;
}

/** Whatever breaks in the tracker must not reach the page that called it. */
export const guard =
  <Given extends unknown[]>(work: (...given: Given) => unknown) =>
  (...given: Given): void => {
    try {
      work(...given);
    } catch (error) {
      warn(error);
    }
  };

/** A random UUID; on pages without TLS only the address of a blob has one. */
export const uuid = (): string =>
  crypto.randomUUID?.() ?? URL.createObjectURL(new Blob()).slice(-36);
