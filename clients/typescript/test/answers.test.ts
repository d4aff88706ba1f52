import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { retryAfterMs, understand } from "../src/answers.js";
import { Backoff } from "../src/backoff.js";

const NOW = Date.UTC(2026, 0, 1);
const said = (status: number, body: unknown, sent = 3, retryAfter: string | null = null) =>
  understand(status, retryAfter, typeof body === "string" ? body : JSON.stringify(body), sent, NOW);

describe("an answer", () => {
  it("is a record where it accounts for all that was sent", () => {
    const errors = [
      { index: 1, pointer: "#/interactions/1/ref_id", reason: "too long" },
      { index: 1, pointer: "#/interactions/1/metadata", reason: "too large" },
    ];
    const outcome = said(202, { accepted: 1, duplicates: 1, rejected: 1, errors });
    assert.deepEqual(outcome, {
      kind: "recorded",
      rejected: new Map([[1, "#/ref_id: too long; #/metadata: too large"]]),
    });
  });

  it("is no record where it does not, or is not Footfall's", () => {
    for (const [status, body] of [
      [202, { accepted: 1, duplicates: 1, rejected: 0, errors: [] }],
      [202, { accepted: 2, duplicates: 0, rejected: 1, errors: [] }],
      [202, "<html>log in here"],
      [202, "null"],
      [200, { accepted: 3, duplicates: 0, rejected: 0, errors: [] }],
      [302, ""],
      [500, ""],
      [503, "{}"],
      [429, "{}"],
      [408, ""],
    ] as const) {
      assert.equal(said(status, body).kind, "later", `${status} ${JSON.stringify(body)}`);
    }
  });

  it("is a refusal where the request is at fault, with those that it names", () => {
    const errors = [{ index: 2, pointer: "#/interactions/2/account_id", reason: "not the token's account" }];
    assert.deepEqual(said(403, { detail: "no", errors }), {
      kind: "refused",
      status: 403,
      reason: "403: no",
      named: new Map([[2, "#/account_id: not the token's account"]]),
    });
    const unplaced = said(422, { errors: [{ pointer: "#/interactions/0/ref_id", reason: "lone surrogates" }] });
    assert.deepEqual(unplaced.kind === "refused" && [...unplaced.named.keys()], [0]);
    for (const pointer of ["#/partial", "#/interactions/3/ref_id", "#"]) {
      const outcome = said(422, { errors: [{ pointer, reason: "odd" }] });
      assert.deepEqual(outcome.kind === "refused" && outcome.named.size, 0, pointer);
    }
  });

  it("says when to come again", () => {
    const later = said(503, {}, 3, "2");
    assert.equal(later.kind === "later" && later.leastMs, 2_000);
    assert.equal(retryAfterMs(new Date(NOW + 5_000).toUTCString(), NOW), 5_000);
    assert.equal(retryAfterMs("999999", NOW), 3_600_000);
    for (const odd of [null, "", "soon", "-3", new Date(NOW - 5_000).toUTCString()]) {
      assert.equal(retryAfterMs(odd, NOW), 0, String(odd));
    }
  });
});

describe("the wait after failures", () => {
  it("doubles up to its most, is drawn from all of that, and is never less than the server said", () => {
    const most = new Backoff(500, 3_000, () => 1);
    assert.deepEqual(
      [0, 0, 0, 0, 0].map((least) => most.failed(least)),
      [500, 1_000, 2_000, 3_000, 3_000],
    );
    most.succeeded();
    assert.equal(most.failed(0), 500);
    const least = new Backoff(500, 3_000, () => 0);
    assert.equal(least.failed(0), 0);
    assert.equal(least.failed(7_000), 7_000);
  });
});
