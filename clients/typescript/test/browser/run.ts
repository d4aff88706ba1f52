/**
 * Runs one scenario in a real Chromium. Its standard input begins with a line of JSON that says with what; then it may ask
 * for something by a line of `{"ask": …}`, and waits for a line in answer. The last line says what was recorded.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

import { servePages } from "./pages.js";
import { Shop, type Setting } from "./shop.js";
import { scenarios } from "./scenarios.js";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function nextLine(): Promise<string> {
  const line = await lines.next();
  if (line.done === true) throw new Error("nobody answers");
  return line.value;
}

const setting = JSON.parse(await nextLine()) as Setting;
const scenario = scenarios[setting.scenario];
if (scenario === undefined) throw new Error(`there is no scenario ${setting.scenario}`);

const profile = mkdtempSync(join(tmpdir(), "footfall-chromium-"));
const pages = await servePages(setting.pagePort);
const context = await chromium.launchPersistentContext(profile, {
  executablePath: setting.chromium,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const shop = new Shop(context, setting, async (wish, count) => {
    console.log(JSON.stringify({ ask: wish, count }));
    await nextLine();
  });
  await scenario(shop);
  console.log(JSON.stringify({ ids: shop.ids }));
} finally {
  await context.close();
  pages.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(0);
