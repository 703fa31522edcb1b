// A line for a shell, with a button that copies it.

import { button, h, setText } from "./dom.ts";

export function copyable(text: string, label: string): HTMLElement {
  const copy = button("Copy", () => void put(text, copy), { class: "quiet", "aria-label": `Copy ${label}` });
  return h("div", { class: "shell" }, h("code", { tabindex: 0, "aria-label": label }, text), copy);
}

async function put(text: string, copy: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    setText(copy, "Copied");
  } catch {
    // Browsers offer the clipboard on secure origins only: select the text, so that the keyboard can.
    const code = copy.previousElementSibling;
    if (code) getSelection()?.selectAllChildren(code);
    setText(copy, "Selected");
  }
  setTimeout(() => setText(copy, "Copy"), 1500);
}
