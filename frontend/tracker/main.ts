// liftwerk's browser tracker. The page calls `liftwerk.push(["method", …])` at any time, and the
// methods themselves once the script is there.
import { identify, make, type Options } from "./event";
import { guard, settings } from "./page";
import { listen, record, reset, say } from "./consent";
import { flush, watchPage } from "./send";

type Method = (...given: any[]) => void;
type Command = [method: string, ...given: unknown[]];

declare global {
  interface Window {
    liftwerk?: Command[] | Record<string, Method>;
  }
}

const HELPERS = {
  page: "page_viewed",
  productViewed: "product_viewed",
  addedToCart: "added_to_cart",
  checkoutStarted: "checkout_started",
  orderCompleted: "order_completed",
};

const track = (name: string, properties?: object, options?: Options): void =>
  record(make(name, properties, options));

/** A page view now, and whenever the address changes without a new page. */
function watchHistory(page: Method): void {
  let path = location.pathname;
  const look = () =>
    // The page sets its new title after the address.
    setTimeout(() => {
      if (path === location.pathname) return;
      path = location.pathname;
      page();
    });
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = (...given) => {
      original.apply(history, given);
      look();
    };
  }
  addEventListener("popstate", look);
  page();
}

function start(): void {
  const early = window.liftwerk ?? [];
  if ("track" in early) return;
  const liftwerk: Record<string, Method> = {
    track: guard(track),
    identify: guard(identify),
    consent: guard(say),
    reset: guard(reset),
    flush: guard(flush),
    push: guard((...commands: Command[]) => {
      const call = guard(([name, ...given]: Command) => liftwerk[name]!(...given));
      commands.forEach(call);
    }),
  };
  for (const [name, event] of Object.entries(HELPERS)) {
    // `data-order-completed="…"` on the script tag names another event.
    liftwerk[name] = guard((properties, options) =>
      track(settings[name] ?? event, properties, options),
    );
  }
  window.liftwerk = liftwerk;
  watchPage();
  listen();
  if (Array.isArray(early)) liftwerk.push!(...early);
  if (settings.spa !== undefined) watchHistory(liftwerk.page!);
}

// A page that the browser makes ready in advance has not been seen yet.
if ((document as { prerendering?: boolean }).prerendering) {
  document.addEventListener("prerenderingchange", guard(start));
} else guard(start)();
