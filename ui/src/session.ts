// Who asks. Kept for this tab only, and sent to nobody but the daemon.

import { facts } from "./facts.ts";
import type { Credentials } from "./requests.ts";

const KEY = "orzo.session";

interface Session {
  user: string;
  /** The daemon does not look at it; a proxy in front may. With tokens: the token. */
  secret: string;
}

function load(): Session | null {
  const text = sessionStorage.getItem(KEY);
  return text === null ? null : (JSON.parse(text) as Session);
}

let session = load();

/** Whether requests to the API can be sent. */
export function isSignedIn(): boolean {
  return facts.auth === "remoteuser" || session !== null;
}

export function userName(): string | null {
  return session?.user ?? null;
}

export function signIn(user: string, secret: string): void {
  session = { user, secret };
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function signOut(): void {
  session = null;
  sessionStorage.removeItem(KEY);
}

/** Headers that say who asks. */
export function headers(): Record<string, string> {
  if (session === null || facts.auth === "remoteuser") return {};
  if (facts.auth === "token") return { "X-Auth-Token": session.secret };
  const bytes = new TextEncoder().encode(`${session.user}:${session.secret}`);
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

export function credentials(): Credentials {
  if (facts.auth === "remoteuser") return null;
  return facts.auth === "token" ? { token: true } : { user: session?.user ?? "admin" };
}
