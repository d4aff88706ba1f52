import assert from "node:assert/strict";

import type { Shop, Tab } from "./shop.js";

export const scenarios: Record<string, (shop: Shop) => Promise<void>> = {
  /** A page that is left for another one sends what it has; nobody hears the answer, so a later page sends it again. */
  async leave(shop) {
    const tab = await shop.open();
    await tab.record(30);
    await tab.page.goto(`${shop.origin}/elsewhere`);
    await shop.ask("until arrived", 30);
    assert.equal(await tab.stored(), 30);
    await tab.makeClient();
    await tab.untilStored(0);
    assert.equal((await tab.counts()).recorded, 30);
  },

  /** More than a browser takes from a page that is left: what does not fit stays, and goes from the next one. */
  async leaveWithMuch(shop) {
    const tab = await shop.open({ batchSize: 1_000 });
    await tab.record(300, { metadata: { note: "x".repeat(500) } });
    const size = await tab.page.evaluate(() => Object.values(localStorage)[0]?.length ?? 0);
    await tab.page.goto(`${shop.origin}/elsewhere`);
    await shop.ask("until arrived", Math.floor(60_000 / (size + 1)));
    assert.equal(await tab.stored(), 300);
    await tab.makeClient();
    await tab.untilStored(0);
  },

  /** A tab that is closed. */
  async close(shop) {
    const tab = await shop.open();
    await tab.record(30);
    await shop.context.newPage();
    await tab.page.close({ runBeforeUnload: true });
    await shop.ask("until arrived", 30);
  },

  /** Without a server what is recorded outlives the page, twice, and arrives when there is one again. */
  async serverDown(shop) {
    const tab = await shop.open({ retryBaseMs: 100, retryMostMs: 500 });
    await shop.ask("kill");
    await tab.record(20);
    assert.equal(await tab.flush(1_000), false);
    await tab.reload();
    await tab.record(20);
    await tab.reload();
    assert.equal(await tab.stored(), 40);
    await shop.ask("start");
    await tab.untilStored(0);
    assert.equal((await tab.counts()).recorded, 40);
  },

  /** The network comes back: it is sent then, though the wait after the failure is not over. */
  async offline(shop) {
    const tab = await shop.open({ retryBaseMs: 3_600_000, retryMostMs: 3_600_000, flushIntervalMs: 10 });
    await shop.context.setOffline(true);
    await tab.record(10);
    assert.equal(await tab.flush(1_000), false);
    assert.deepEqual(await tab.counts(), { queued: 10, recorded: 0, rejected: 0, dropped: 0 });
    await shop.context.setOffline(false);
    await tab.untilStored(0);
    assert.equal((await tab.counts()).recorded, 10);
  },

  /** Three tabs in one queue, one of them closed while there is no server: each interaction is sent by one of them. */
  async tabs(shop) {
    const often = { retryBaseMs: 100, retryMostMs: 300, flushIntervalMs: 10 };
    const tabs = [await shop.open(often), await shop.open(often), await shop.open(often)] as const;
    for (const tab of tabs) await tab.record(5);
    for (const tab of tabs) assert.equal(await tab.flush(30_000), true);
    await shop.ask("kill");
    for (const tab of tabs) await tab.record(15);
    await tabs[2].page.close();
    const late = await shop.open(often);
    await shop.ask("start");
    await late.untilStored(0);
    const open: Tab[] = [tabs[0], tabs[1], late];
    for (const tab of open) await tab.until("nothing queued", async () => (await tab.counts()).queued === 0);
  },

  /** The bounds are for all tabs; what is beyond them is told. */
  async bounded(shop) {
    await shop.ask("kill");
    const bounds = { maxQueued: 15, retryBaseMs: 100, retryMostMs: 300 };
    const first = await shop.open(bounds);
    const second = await shop.open(bounds);
    assert.equal(await first.record(10), 10);
    assert.equal(await second.record(10), 5);
    assert.equal((await second.counts()).dropped, 5);
    assert.deepEqual(
      await second.said("dropped"),
      Array.from({ length: 5 }, () => "full"),
    );
    const small = await shop.open({ ...bounds, queue: "small", maxQueuedBytes: 1_000 });
    const taken = await small.record(20);
    assert.ok(taken > 1 && taken < 10, String(taken));
    await shop.ask("start");
    await Promise.all([first, second, small].map((tab) => tab.flush(30_000)));
    await first.untilStored(0);
  },

  /** A storage that others have filled: it is told, once, and the interactions go all the same. */
  async storageFull(shop) {
    const tab = await shop.open();
    await tab.page.evaluate(() => {
      for (let size = 2 ** 22; size >= 1; size /= 2) {
        for (let more = true; more;) {
          try {
            localStorage.setItem(`of others ${localStorage.length}`, "x".repeat(size));
          } catch {
            more = false;
          }
        }
      }
    });
    assert.equal(await tab.record(10), 10);
    assert.equal(await tab.stored(), 0);
    assert.match((await tab.said("storageErrors")).join(), /^QuotaExceededError[^,]*$/);
    assert.equal(await tab.flush(30_000), true);
    assert.equal((await tab.counts()).recorded, 10);
  },

  /** The page clears its storage, as at a logout: what this page recorded is sent from memory. */
  async storageCleared(shop) {
    const tab = await shop.open();
    await tab.record(10);
    await tab.page.evaluate(() => localStorage.clear());
    assert.equal(await tab.flush(30_000), true);
  },

  /** No storage at all, as in a sandboxed frame. */
  async noStorage(shop) {
    const page = await shop.context.newPage();
    await page.addInitScript(() => {
      Object.defineProperty(globalThis, "localStorage", {
        get: () => {
          throw new DOMException("Access is denied for this document.", "SecurityError");
        },
      });
    });
    await page.goto(`${shop.origin}/`);
    const { Tab } = await import("./shop.js");
    const tab = new Tab(shop, page, shop.setting.options);
    await tab.makeClient();
    await tab.record(10);
    assert.match((await tab.said("storageErrors")).join(), /^SecurityError[^,]*$/);
    assert.equal(await tab.flush(30_000), true);
  },

  /** A browser without `keepalive` has beacons: on the API's own origin, where no key is asked for. */
  async beacon(shop) {
    await shop.context.addInitScript(() => Reflect.deleteProperty(Request.prototype, "keepalive"));
    const tab = await shop.open({}, `${shop.setting.options.url}/health/live`);
    await tab.record(30);
    await tab.page.goto(`${shop.setting.options.url}/docs/oauth2-redirect`);
    await shop.ask("until arrived", 30);
    assert.equal(await tab.stored(), 30);
  },
};
