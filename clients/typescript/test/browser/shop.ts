import type { BrowserContext, Page } from "playwright-core";

import type { Counts, Footfall, Interaction, Options } from "../../src/index.js";

/** What a scenario is run with. */
export interface Setting {
  readonly scenario: string;
  readonly chromium: string;
  readonly pagePort: number;
  readonly options: Options;
  /** Of whom and of what to record. */
  readonly interaction: Interaction;
}

/** What the page's client has said, beside the client itself. */
interface Window {
  client: Footfall;
  dropped: string[];
  rejected: string[];
  storageErrors: string[];
}

const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

/** A shop with tabs, and what was recorded in all of them. */
export class Shop {
  readonly ids: string[] = [];

  constructor(
    readonly context: BrowserContext,
    readonly setting: Setting,
    /** `kill` and `start` are of the API; `until arrived`: until it has so many of what was recorded. */
    readonly ask: (wish: "kill" | "start" | "until arrived", count?: number) => Promise<void>,
  ) {}

  get origin(): string {
    return `http://localhost:${this.setting.pagePort}`;
  }

  /** A tab with a client; by default it sends when it is asked to, or left, and at no other time. */
  async open(options: Partial<Options> = {}, url = `${this.origin}/`): Promise<Tab> {
    const page = await this.context.newPage();
    await page.goto(url);
    const tab = new Tab(this, page, { flushIntervalMs: 3_600_000, ...this.setting.options, ...options });
    await tab.makeClient();
    return tab;
  }
}

export class Tab {
  constructor(
    private readonly shop: Shop,
    readonly page: Page,
    readonly options: Options,
  ) {}

  async makeClient(): Promise<void> {
    await this.page.evaluate(
      async ({ script, options }) => {
        const { Footfall } = (await import(script)) as typeof import("../../src/index.js");
        const own = globalThis as unknown as Window;
        Object.assign(own, { dropped: [], rejected: [], storageErrors: [] });
        own.client = new Footfall({
          ...options,
          onDropped: (_, reason) => own.dropped.push(reason),
          onRejected: (_, { reason }) => own.rejected.push(reason),
          onStorageError: (error) => own.storageErrors.push(String(error)),
        });
      },
      { script: `${this.shop.origin}/src/index.js`, options: this.options },
    );
  }

  /** Records so many; how many of them were taken. */
  async record(count: number, more: Partial<Interaction> = {}): Promise<number> {
    const interaction: unknown = { ...this.shop.setting.interaction, ...more };
    const text = JSON.stringify(interaction); // its type is too deep for Playwright's
    const taken = await this.page.evaluate(
      ([json, many]) => {
        const { client } = globalThis as unknown as Window;
        return Array.from({ length: many }, () => client.record(JSON.parse(json) as Interaction));
      },
      [text, count] as const,
    );
    const ids = taken.filter((id) => id !== null);
    this.shop.ids.push(...ids);
    return ids.length;
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.makeClient();
  }

  flush(timeoutMs: number): Promise<boolean> {
    return this.page.evaluate((ms) => (globalThis as unknown as Window).client.flush(ms), timeoutMs);
  }

  counts(): Promise<Counts> {
    return this.page.evaluate(() => (globalThis as unknown as Window).client.counts);
  }

  said(what: "dropped" | "rejected" | "storageErrors"): Promise<string[]> {
    return this.page.evaluate((name) => (globalThis as unknown as Window)[name], what);
  }

  /** How many the browser's storage has, of all tabs. */
  stored(): Promise<number> {
    return this.page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("footfall:")).length);
  }

  async until(what: string, is: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await is())) {
      if (Date.now() > deadline) throw new Error(`it never came to ${what}: ${JSON.stringify(await this.counts())}`);
      await this.page.waitForTimeout(LOOK_MS);
    }
  }

  untilStored(count: number): Promise<void> {
    return this.until(`${count} stored`, async () => (await this.stored()) === count);
  }
}
