// Requests to the API as values: sent by `api.ts`, shown as a line for a shell here.

export interface ApiRequest {
  method: "GET" | "POST";
  /** Below the place where the API is mounted, encoded. */
  path: string;
  query?: [name: string, value: string][];
  body?: unknown;
}

/** Path and query. */
export function target(request: ApiRequest): string {
  const query = new URLSearchParams(request.query ?? []).toString();
  return query === "" ? request.path : `${request.path}?${query}`;
}

/** Who asks, as options of curl. */
export type Credentials = { user: string } | { token: true } | null;

/** The line that sends the same request; secrets are left for the user to fill in. */
export function curlLine(request: ApiRequest, base: string, credentials: Credentials): string {
  const words = ["curl", "-s"];
  if (credentials !== null && "user" in credentials) words.push("-u", quote(`${credentials.user}:`));
  if (credentials !== null && "token" in credentials) words.push("-H", '"X-Auth-Token: $TOKEN"');
  if (request.body !== undefined) {
    words.push("-H", quote("Content-Type: application/json"), "-d", quote(JSON.stringify(request.body)));
  }
  words.push(quote(`${base}${target(request)}`));
  return words.join(" ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
