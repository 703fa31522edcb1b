// Asking who somebody is, where the daemon wants to know.

import { h, fill } from "./dom.ts";
import { facts } from "./facts.ts";
import * as session from "./session.ts";

let open: Promise<void> | null = null;

/** Shows the dialog, once however often it is asked for; ends when somebody has signed in. */
export function askWho(): Promise<void> {
  open ??= new Promise((done) => {
    const dialog = form(() => {
      open = null;
      dialog.remove();
      done();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return open;
}

function form(done: () => void): HTMLDialogElement {
  const tokens = facts.auth === "token";
  const user = h("input", { name: "user", autocomplete: "username", required: true, value: "admin", spellcheck: "false" });
  const secret = h("input", { name: "secret", type: "password", autocomplete: "current-password", required: tokens });
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    session.signIn(tokens ? "token" : user.value.trim(), secret.value);
    done();
  };
  const fields = tokens
    ? [h("label", {}, "Token", secret)]
    : [
        h("label", {}, "User name", user),
        h("label", {}, h("span", {}, "Password ", h("small", {}, "if a proxy in front wants one")), secret),
      ];
  const why = tokens
    ? "Paste a token of your identity service. It stays in this tab."
    : "Orzo wants to know who asks: admin sees everything. It looks at the name only; both stay in this tab.";
  const heading = h("h2", { id: "signin-title" }, "Sign in");
  const body = h("form", { on: { submit } }, heading, h("p", {}, why), ...fields, h("button", { class: "primary" }, "Sign in"));
  // Nothing can be shown without an answer.
  return h("dialog", { class: "signin", "aria-labelledby": "signin-title", on: { cancel: (event) => event.preventDefault() } }, body);
}

/** Who is signed in, and the way out. */
export function showWho(place: Element, out: () => void): void {
  const user = session.userName();
  if (user === null || facts.auth === "remoteuser") return fill(place);
  const leave = h("button", { type: "button", class: "quiet", on: { click: out } }, "Sign out");
  fill(place, h("span", { title: "Signed in as" }, user), leave);
}
