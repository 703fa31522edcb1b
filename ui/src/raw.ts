// A request and its answer, as they are: the line for a shell, and the JSON.

import * as api from "./api.ts";
import { copyable } from "./clipboard.ts";
import { button, h, setText } from "./dom.ts";
import { base } from "./facts.ts";
import { curlLine, type ApiRequest } from "./requests.ts";
import * as session from "./session.ts";

/** Longest text that is shown. */
const CHARS_MAX = 400_000;

export function showRaw(title: string, request: ApiRequest): void {
  const json = h("pre", { tabindex: 0, "aria-label": "Answer" }, "…");
  const close = button("Close", () => dialog.close(), { class: "primary" });
  const dialog = h(
    "dialog",
    { class: "raw", "aria-labelledby": "raw-title", on: { close: () => dialog.remove() } },
    h("h2", { id: "raw-title" }, title),
    copyable(curlLine(request, base, session.credentials()), "curl line"),
    json,
    h("div", { class: "actions" }, close),
  );
  document.body.append(dialog);
  dialog.showModal();
  void api.raw(request).then(
    (answer) => setText(json, pretty(answer)),
    (error: Error) => setText(json, error.message),
  );
}

/** Lists of plain values on one line each: a measure is a row. */
function pretty(answer: unknown): string {
  const text = JSON.stringify(answer, null, 2).replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, (_, inner: string) => {
    return `[${inner.replace(/\n\s+/g, " ")}]`;
  });
  return text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)}\n… and more: use the line above` : text;
}
