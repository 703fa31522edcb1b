// What the daemon wrote into the page, and where the API is.

export interface Facts {
  auth: "basic" | "remoteuser" | "token";
  statsd: string | null;
  series_max: number;
  version: string;
}

function read(): Facts {
  const text = document.querySelector<HTMLMetaElement>("meta[name=orzo-facts]")?.content ?? "{}";
  return { auth: "basic", statsd: null, series_max: 0, version: "", ...(JSON.parse(text) as Partial<Facts>) };
}

export const facts = read();

/** The address below which `/v1` lies: one level above the page. */
export const base = new URL("..", location.href).href.replace(/\/$/, "");

/** Line for a shell that sends a first metric. */
export function firstLine(): string {
  const address = facts.statsd ?? "127.0.0.1:8125";
  const at = address.lastIndexOf(":");
  const [host, port] = [address.slice(0, at).replace(/^\[|\]$/g, ""), address.slice(at + 1)];
  const reachable = host === "0.0.0.0" || host === "::" ? location.hostname : host;
  return `printf 'demo.hits:3|c\\n' | nc -u -w1 ${reachable} ${port}`;
}
