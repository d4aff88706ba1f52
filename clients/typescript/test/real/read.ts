/** Reads from a real Footfall what its standard input says in JSON, and prints it. */
import { readFileSync } from "node:fs";
import { Footfall, FootfallError } from "../../src/index.js";

const asked = JSON.parse(readFileSync(0, "utf8")) as {
  url: string;
  apiKey: string;
  account: string;
  product: string;
  event: string;
};
const { reads } = new Footfall({ url: asked.url, apiKey: asked.apiKey });

const receipt = await reads.receipt(asked.event, { wait: "10s" });
const history = await reads.history(asked.account, { limit: 2, event_type: ["view", "like"] });
const rest = await reads.history(asked.account, { limit: 2, cursor: history.next_cursor });
const top = await reads.top({ window: "7d", limit: 1 });
const popularity = await reads.popularity(asked.product);
const recommendations = await reads.recommendations(asked.account, { limit: 3 });
const missing = await reads.popularity("no such product").then(
  () => null,
  (error: unknown) => error instanceof FootfallError && { status: error.status, body: error.body },
);
console.log(JSON.stringify({ receipt, history, rest, top, popularity, recommendations, missing }));
