// What a stranger does with the page, in a real browser against the real daemon.

import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Daemon, until } from "./daemon.ts";
import { launch, OrzoPage, type Options } from "./page.ts";

/** Pixels of the pure colour of a line in a single dot, at the least: one upon a line of the grid has fewer than others. */
const DOT_PIXELS = 10;

let browser: Browser;
let daemon: Daemon;

before(async () => {
  [browser, daemon] = await Promise.all([launch(), Daemon.start()]);
});

after(async () => {
  await Promise.all([browser?.close(), daemon?.stop()]);
});

/** Opens the page, does something there, and sees that the browser had nothing to complain of. */
async function visit(query: string, visitor: (page: OrzoPage) => Promise<void>, options: Options = {}): Promise<void> {
  const page = await OrzoPage.open(browser, daemon.url, query, options);
  try {
    await visitor(page);
    assert.deepEqual(page.complaints, []);
  } catch (error) {
    mkdirSync("ui/node_modules/.screenshots", { recursive: true });
    await page.page.screenshot({ path: "ui/node_modules/.screenshots/failed.png" });
    throw error;
  } finally {
    await page.close();
  }
}

/** Metrics of an instance, ids by name. */
async function instance(name: string, flavor: string): Promise<Record<string, string>> {
  await daemon.call("POST", "/v1/resource/instance", { id: name, flavor, metrics: { cpu: { archive_policy_name: "statsd", unit: "%" } } });
  return ((await daemon.call("GET", `/v1/resource/instance/${name}`)) as { metrics: Record<string, string> }).metrics;
}

test("the first line that the page proposes appears, is found and charted", { timeout: 60_000 }, async () => {
  await visit("", async (page) => {
    await page.signIn();
    await page.page.getByRole("heading", { name: "Send your first metric" }).waitFor();
    const line = (await page.page.getByLabel("line that sends a first metric", { exact: true }).textContent()) ?? "";
    await new Promise((done) => exec(line, done));
    await page.metric("demo.hits").waitFor();
    await page.search("hits demo");
    await page.metric("demo.hits").click();
    await page.line("demo.hits").waitFor();
    await page.line("demo.hits").getByRole("combobox").selectOption("sum");
    await until("the legend shows the value", async () => (await page.value("demo.hits")) === "3");
    assert.equal(await page.charts.count(), 1);
    await until("the line is on the chart", async () => (await page.painted("--line-1")) >= DOT_PIXELS);
    assert.match(page.page.url(), /[?&]m=[0-9a-f-]{36}\.sum/);
  });
});

test("lines are live, have JSON and curl, and the address leads back to them", { timeout: 60_000 }, async () => {
  let address = "";
  await daemon.send("live.depth:5|g");
  await visit("", async (page) => {
    await page.signIn();
    await page.metric("live.depth").click();
    await page.line("live.depth").getByRole("combobox").selectOption("last");
    await until("the first value is there", async () => (await page.value("live.depth")) === "5");
    await daemon.send("live.depth:8|g");
    await until("the next comes by itself", async () => (await page.value("live.depth")) === "8");
    await page.page.getByRole("button", { name: "JSON and curl of live.depth" }).click();
    const dialog = page.page.getByRole("dialog");
    await until("the answer is shown", async () => ((await dialog.getByLabel("Answer").textContent()) ?? "").includes("8"));
    const curl = (await dialog.getByLabel("curl line", { exact: true }).textContent()) ?? "";
    const output = await new Promise<string>((done) => exec(curl, (_, text) => done(text)));
    assert.match(output, /8\.0\]/);
    await page.page.keyboard.press("Escape");
    address = new URL(page.page.url()).search;
  });
  await visit(address, async (page) => {
    await page.signIn();
    await until("the shared view shows the same", async () => (await page.value("live.depth")) === "8");
  });
});

test("metrics of resources are grouped by an attribute, and charted apart", { timeout: 60_000 }, async () => {
  await daemon.call("POST", "/v1/resource_type", { name: "instance", attributes: { flavor: { type: "string" } } });
  const start = Math.floor(Date.now() / 1000) - 600;
  for (const [name, flavor, value] of [["a", "large", 10], ["b", "large", 30], ["c", "small", 5]] as const) {
    const { cpu } = await instance(name, flavor);
    const measures = Array.from({ length: 60 }, (_, index) => ({ timestamp: start + index * 10, value }));
    await daemon.call("POST", `/v1/metric/${cpu}/measures`, measures);
  }
  await visit("?type=instance", async (page) => {
    await page.signIn();
    await page.search("flavor=large");
    await until("the attribute narrows the list", async () => (await page.metric("cpu").count()) === 2);
    await page.search("");
    await until("all are back", async () => (await page.metric("cpu").count()) === 3);
    for (const index of [0, 1, 2]) await page.metric("cpu").nth(index).click();
    await until("three lines are charted", async () => (await page.page.locator(".legend tbody tr").count()) === 3);
    await page.page.getByRole("switch", { name: "Chart for each" }).click();
    await until("each has a chart", async () => (await page.charts.count()) === 3);
    await page.page.getByLabel("Group by").selectOption("flavor");
    await until("large is the sum of two", async () => (await page.value("large")) === "40 %");
    assert.equal(await page.value("small"), "5 %");
    assert.equal(await page.charts.count(), 2);
    await page.page.getByLabel("Groups show").selectOption("mean");
    await until("and then their mean", async () => (await page.value("large")) === "20 %");
  });
});

test("everything is reached and read by keyboard, and a chart can be zoomed", { timeout: 60_000 }, async () => {
  await daemon.send("keys.pressed:7|c");
  await visit("", async (page) => {
    await page.signIn();
    await page.metric("keys.pressed").waitFor();
    await page.page.keyboard.press("/");
    await page.page.keyboard.type("keys");
    await until("the list is narrowed", async () => (await page.page.getByRole("region", { name: "Find metrics" }).getByRole("listitem").count()) === 1);
    await page.metric("keys.pressed").focus();
    await page.page.keyboard.press("Enter");
    await until("it is charted", async () => (await page.value("keys.pressed")) !== "");
    await page.charts.first().focus();
    await page.page.keyboard.press("ArrowLeft");
    const when = page.page.locator(".legend .when");
    await until("the legend tells the instant", async () => /\d\d:\d\d:\d\d$/.test((await when.textContent()) ?? ""));
    await page.page.keyboard.press("Escape");
    await until("and the newest again", async () => (await when.textContent()) === "newest");
    await page.page.keyboard.press("+");
    await until("plus zooms in", async () => page.page.url().includes("last=1800"));
    const box = await page.charts.first().locator(".u-over").boundingBox();
    assert.ok(box);
    await page.page.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await page.page.mouse.down();
    await page.page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 5 });
    await page.page.mouse.up();
    await until("so does the mouse", async () => /from=\d+&to=\d+/.test(page.page.url()));
    await page.page.goBack();
    await until("and the way back leads out", async () => page.page.url().includes("last=1800"));
  });
});

test("nothing is lost, and then something is, for a reason", { timeout: 60_000 }, async () => {
  await visit("?page=loss", async (page) => {
    await page.page.getByRole("heading", { name: "Nothing is lost" }).waitFor();
    await daemon.send("no colon here\nloss.good:1|c");
    await page.page.getByRole("heading", { name: "Something is being lost" }).waitFor();
    const reasons = page.page.getByRole("table", { name: "Losses" });
    await reasons.getByRole("row").filter({ hasText: "no_colon" }).waitFor();
    await until("all accounts add up", async () => (await page.page.getByText("✓ adds up").count()) === 4);
    await page.page.getByText("Every counter of the daemon").click();
    await page.page.getByText("orzo_checkpoints_failed_total").waitFor();
  });
});

test("it fits a phone, in the dark", { timeout: 60_000 }, async () => {
  await daemon.send("phone.rings:1|c\nnot a line");
  const phone: Options = { scheme: "dark", width: 390, height: 844 };
  await visit("", async (page) => {
    await page.signIn();
    await page.metric("phone.rings").click();
    await page.line("phone.rings").waitFor();
    assert.equal(await page.overflows(), false);
  }, phone);
  await visit("?page=loss", async (page) => {
    await page.page.getByRole("heading", { name: "Something was lost" }).waitFor();
    assert.equal(await page.overflows(), false);
  }, phone);
});
