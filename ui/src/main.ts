// The start: which page is shown, who is signed in.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import { onUnauthorized } from "./api.ts";
import { fill, setText } from "./dom.ts";
import { Explore } from "./explore.ts";
import { facts } from "./facts.ts";
import { LossPage } from "./loss.ts";
import * as session from "./session.ts";
import { askWho, showWho } from "./signin.ts";
import { Store } from "./store.ts";
import { zoneText } from "./times.ts";
import { START, type View } from "./view.ts";

interface Page {
  element: HTMLElement;
  start(): Promise<void>;
  stop(): void;
}

const store = new Store();
let page: Page | null = null;
/** The way back from the accounts leads to what was charted. */
let explored: View = store.view.page === "explore" ? store.view : START;

const place = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has a place called ${id}`);
  return found;
};

async function open(): Promise<void> {
  page?.stop();
  const { view } = store;
  document.title = view.page === "loss" ? "Is anything lost? – Orzo" : "Metrics – Orzo";
  for (const link of document.querySelectorAll<HTMLElement>("[data-page]")) {
    if (link.dataset.page === view.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  page = view.page === "loss" ? new LossPage() : new Explore(store);
  fill(place("main"), page.element);
  // The accounts are open to all, as `/metrics` is.
  if (view.page === "explore" && !session.isSignedIn()) await askWho();
  who();
  await page.start();
}

function who(): void {
  showWho(place("who"), () => {
    session.signOut();
    void open();
  });
}

onUnauthorized.call = () => {
  // One answer is enough to ask again.
  if (facts.auth === "remoteuser" || !session.isSignedIn()) return;
  session.signOut();
  void askWho().then(open);
};

store.listen((view, before) => {
  if (view.page === "explore") explored = view;
  if (view.page !== before.page) void open();
});

for (const link of document.querySelectorAll<HTMLAnchorElement>("[data-page], .brand")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (link.dataset.page === "loss") store.change({ ...START, page: "loss" });
    else store.change(link.dataset.page === "explore" ? explored : START);
  });
}

addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key !== "/" || typing || !(page instanceof Explore)) return;
  event.preventDefault();
  page.search();
});

setText(place("zone"), `Times in ${zoneText()}`);
setText(place("version"), `Orzo ${facts.version}`);
void open();
