// A daemon for the tests: the real program on free ports, with its data in a temporary directory.

import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const PATIENCE_MS = 30_000;

export class Daemon {
  private constructor(
    readonly url: string,
    readonly statsd: number,
    private child: ChildProcess,
    private dir: string,
  ) {}

  static async start(extra = ""): Promise<Daemon> {
    const [http, statsd] = [await freePort(), await freePort()];
    const dir = mkdtempSync(path.join(tmpdir(), "orzo-ui-"));
    const config = path.join(dir, "orzo.toml");
    writeFileSync(config, `data_dir = "${dir}/data"\n[http]\nlisten = "127.0.0.1:${http}"\n[statsd]\nudp = ["127.0.0.1:${statsd}"]\n` +
      `tcp = ["127.0.0.1:${statsd}"]\nflush_interval = "1s"\n[log]\nlevel = "warn"\n${extra}`);
    const child = spawn(process.env.ORZO_BIN ?? "orzo", ["serve", "--config", config], { stdio: ["ignore", "inherit", "inherit"] });
    const daemon = new Daemon(`http://127.0.0.1:${http}`, statsd, child, dir);
    await until("the daemon answers", () => fetch(`${daemon.url}/healthcheck`).then((answer) => answer.ok, () => false));
    return daemon;
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGTERM");
    await ended;
    rmSync(this.dir, { recursive: true });
  }

  /** One datagram. */
  async send(text: string): Promise<void> {
    const socket = createSocket("udp4");
    await new Promise<void>((done, failed) => socket.send(text, this.statsd, "127.0.0.1", (error) => (error ? failed(error) : done())));
    socket.close();
  }

  /** As `admin`; the answer must be a success. */
  async call(method: string, place: string, body?: unknown): Promise<unknown> {
    const headers = { Authorization: `Basic ${btoa("admin:")}`, "Content-Type": "application/json" };
    const answer = await fetch(`${this.url}${place}`, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${place}: ${answer.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

export async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
