import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { bodyOf, cut } from "../src/batches.js";
import { newEventId, stamped } from "../src/interaction.js";
import { type Options, settled } from "../src/options.js";
import { pending, Queue, readKey } from "../src/queue.js";

const some = (count: number, text = '{"ref_id":"ü"}') => Array.from({ length: count }, () => pending(text, 1_000));

describe("a queue", () => {
  it("is bounded in number and in bytes, and has room again for what left", () => {
    const [first, second, third] = some(3);
    assert.ok(first && second && third);
    assert.equal(first.bytes, 15);
    for (const bounds of [
      { interactions: 2, bytes: 1_000 },
      { interactions: 1_000, bytes: 44 },
    ]) {
      const queue = new Queue(bounds);
      assert.deepEqual(
        [first, second, third].map((one) => queue.add(one)),
        [true, true, false],
      );
      assert.ok(queue.remove(first));
      assert.ok(!queue.remove(first));
      assert.ok(queue.add(third));
      assert.deepEqual([...queue.all()], [second, third]);
    }
  });

  it("has keys that say time and size, and are one each", () => {
    const keys = some(100).map((one) => one.key);
    assert.equal(new Set(keys).size, 100);
    assert.deepEqual(readKey(keys[0] ?? ""), { atMs: 1_000, bytes: 15 });
  });
});

describe("a batch", () => {
  it("is as many as may go, in number and in the bytes of its body", () => {
    const all = some(10);
    assert.equal(cut(all, 4, 1_000_000).length, 4);
    const three = new TextEncoder().encode(bodyOf(all.slice(0, 3))).length;
    assert.equal(cut(all, 100, three).length, 2); // the last comma is counted too
    assert.equal(cut(all, 100, three + 1).length, 3);
    assert.equal(cut(all, 100, 5).length, 1);
    assert.deepEqual(cut([], 100, 100), []);
    assert.deepEqual(JSON.parse(bodyOf(all.slice(0, 2))), { interactions: [{ ref_id: "ü" }, { ref_id: "ü" }] });
  });
});

describe("an interaction", () => {
  const view = { account_id: "alice", event_type: "view", ref_type: "Product", ref_id: "cup" } as const;

  it("gets an id and a time, and keeps its own", () => {
    const now = new Date("2026-01-02T03:04:05.678Z");
    const plain = stamped(view, now);
    assert.equal(plain.occurred_at, "2026-01-02T03:04:05.678Z");
    assert.match(plain.event_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const own = { event_id: "7c9e6679-7425-40de-944b-e07fc1f90ae7", occurred_at: "2026-01-01T00:00:00Z" };
    assert.deepEqual(stamped({ ...view, ...own }, now), { ...view, ...own });
    const dated = stamped({ ...view, occurred_at: new Date(0) }, now);
    assert.equal(dated.occurred_at, "1970-01-01T00:00:00.000Z");
  });

  it("has an id that tells its time", () => {
    const id = newEventId(1_800_000_000_123);
    assert.equal(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16), 1_800_000_000_123);
    assert.notEqual(id, newEventId(1_800_000_000_123));
  });
});

describe("options", () => {
  it("that can't be meant are refused", () => {
    for (const odd of [
      { url: "nowhere" },
      { apiKey: "a", token: "b" },
      { batchSize: 0 },
      { batchSize: 1_001 },
      { maxQueued: Number.NaN },
      { flushIntervalMs: -1 },
    ]) {
      assert.throws(() => settled({ url: "http://localhost:8000", ...odd } as Options, false), JSON.stringify(odd));
    }
  });

  it("take a URL with a path, and with a slash at its end", () => {
    assert.equal(settled({ url: "https://shop.example/footfall/" }, true).url, "https://shop.example/footfall");
  });
});
