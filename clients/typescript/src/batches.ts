import type { Pending } from "./queue.js";

/** What the server takes at once. */
export const MOST_INTERACTIONS = 1_000;

const OPEN = '{"interactions":[';
const CLOSE = "]}";

/** The first of them that fit into one body; one alone always does. */
export function cut(all: Iterable<Pending>, mostInteractions: number, mostBytes: number): Pending[] {
  const batch: Pending[] = [];
  let bytes = OPEN.length + CLOSE.length;
  for (const one of all) {
    bytes += one.bytes + 1;
    if (batch.length > 0 && (batch.length >= mostInteractions || bytes > mostBytes)) break;
    batch.push(one);
  }
  return batch;
}

export function bodyOf(batch: readonly Pending[]): string {
  return OPEN + batch.map((one) => one.text).join(",") + CLOSE;
}
