/** What the compiler has to refuse: each line marked so is an error of `npm run check` where it does not. */
import assert from "node:assert/strict";
import { it } from "node:test";

import type { Interaction, Recommendations, TopQuery } from "../src/index.js";

const view = { account_id: "alice", event_type: "view", ref_type: "Product", ref_id: "cup" } as const;

it("has types that refuse what the server would", () => {
  const good: Interaction[] = [
    view,
    { ...view, event_type: "one_of_our_own", account_id: undefined },
    { ...view, metadata: { price: "12.50", quantity: 1, colours: ["red", null] } },
    { ...view, occurred_at: new Date(), session_id: "s" },
  ];
  const bad: Interaction[] = [
    // @ts-expect-error ref_id is missing
    { account_id: "alice", event_type: "view", ref_type: "Product" },
    // @ts-expect-error no such kind
    { ...view, ref_type: "Shop" },
    // @ts-expect-error no such field
    { ...view, product: "cup" },
    // @ts-expect-error not a price
    { ...view, metadata: { price: true } },
    // @ts-expect-error not JSON
    { ...view, metadata: { when: new Date() } },
  ];
  // @ts-expect-error no such window
  const query: TopQuery = { window: "2d" };
  // @ts-expect-error no such rung
  const rung: Recommendations["rung"] = "lucky";
  assert.deepEqual([good.length, bad.length, query.window, rung], [4, 5, "2d", "lucky"]);
});
