// Making elements. Text goes in as text only: no name of a metric can become markup.

export type Child = Node | string | null | undefined | false;

type Listeners = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

export interface Properties {
  class?: string;
  on?: Listeners;
  /** Attributes; `false` and `null` leave one out. */
  [attribute: string]: string | number | boolean | null | undefined | Listeners;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") listen(element, value as Listeners);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  fill(element, ...children);
  return element;
}

function listen(element: HTMLElement, listeners: Listeners): void {
  for (const [name, listener] of Object.entries(listeners)) {
    element.addEventListener(name, listener as EventListener);
  }
}

/** Replaces what is in an element. */
export function fill(element: Element, ...children: Child[]): void {
  const nodes = children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...nodes);
}

/** Sets a text only if it is another: nothing is laid out anew for what stays. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export type Option = [value: string, label: string];

/** A labelled choice. */
export function select(label: string, options: Option[], value: string, choose: (value: string) => void): HTMLLabelElement {
  const list = h("select", { on: { change: () => choose(list.value) } });
  offer(list, options, value);
  return h("label", { class: "field" }, h("span", {}, label), list);
}

/** Replaces what a choice offers; one that has the focus keeps it. */
export function offer(list: HTMLSelectElement, options: Option[], value: string): void {
  const key = JSON.stringify(options);
  if (list.dataset.offered !== key) {
    list.dataset.offered = key;
    fill(list, ...options.map(([option, text]) => h("option", { value: option }, text)));
  }
  list.value = value;
}

export function button(text: string, press: () => void, properties: Properties = {}): HTMLButtonElement {
  return h("button", { type: "button", ...properties, on: { click: press } }, text);
}
