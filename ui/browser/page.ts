// The page as somebody uses it: by names and roles, as a reader of the screen would. What the browser complains of, and
// what it asks of any other place than the daemon, is remembered.

import { chromium, type Browser, type Locator, type Page } from "playwright-core";

export interface Options {
  scheme?: "light" | "dark";
  width?: number;
  height?: number;
}

export async function launch(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM;
  if (!executablePath) throw new Error("CHROMIUM names the browser; run scripts/ui --browser");
  // Inside a container, root may not use the sandbox; only our own page is opened.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

export class OrzoPage {
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    url: string,
  ) {
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(url)) this.complaints.push(`asked for ${request.url()}`);
    });
  }

  static async open(browser: Browser, url: string, query = "", options: Options = {}): Promise<OrzoPage> {
    const { scheme = "light", width = 1280, height = 800 } = options;
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, timezoneId: "Europe/Rome" });
    const page = await context.newPage();
    const orzo = new OrzoPage(page, url);
    await page.goto(`${url}/ui${query === "" ? "" : `/${query}`}`);
    return orzo;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }

  async signIn(user = "admin"): Promise<void> {
    const dialog = this.page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByLabel("User name").fill(user);
    await dialog.getByLabel("User name").press("Enter");
    await dialog.waitFor({ state: "detached" });
  }

  async search(text: string): Promise<void> {
    await this.page.getByRole("searchbox").fill(text);
  }

  /** The button of a metric in the list. */
  metric(name: string): Locator {
    return this.page.getByRole("region", { name: "Find metrics" }).getByRole("button", { name, exact: true });
  }

  /** A line of the legend. */
  line(name: string): Locator {
    return this.page.getByRole("table", { name: "Lines of the chart" }).getByRole("row").filter({ hasText: name });
  }

  /** The value that the legend shows for a line. */
  async value(name: string): Promise<string> {
    return (await this.line(name).locator("td.now").textContent()) ?? "";
  }

  get charts(): Locator {
    return this.page.locator('[aria-roledescription="chart"]');
  }

  /** Pixels of a chart that have the colour of its line, such as `--line-1`. */
  async painted(variable: string, chart = 0): Promise<number> {
    return this.charts.nth(chart).locator("canvas").evaluate((canvas, name) => {
      const { width, height } = canvas as HTMLCanvasElement;
      const data = (canvas as HTMLCanvasElement).getContext("2d")?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
      const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (wanted.every((value, channel) => Math.abs((data[at + channel] ?? 0) - value) < 8)) count += 1;
      }
      return count;
    }, variable);
  }

  /** Whether something is wider than the window. */
  async overflows(): Promise<boolean> {
    return this.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  }
}
