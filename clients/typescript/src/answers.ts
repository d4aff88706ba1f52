/** What an answer to a batch means. */
export type Outcome =
  | { readonly kind: "recorded"; readonly rejected: ReadonlyMap<number, string> }
  | { readonly kind: "later"; readonly reason: string; readonly leastMs: number }
  | Refused;

/** None of the batch was recorded; where the server says whose fault it was, `named` has them by their places. */
export interface Refused {
  readonly kind: "refused";
  readonly status: number;
  readonly reason: string;
  readonly named: ReadonlyMap<number, string>;
}

const LONGEST_RETRY_AFTER_MS = 3_600_000;
const ACCEPTED = 202;
/** Of the 4xx, those that say nothing against the batch. */
const LATER = new Set([408, 425, 429]);

/**
 * `body` is the answer's text. Only a 202 that accounts for each of `sent` interactions counts as one: whatever else
 * answers in the server's place (a proxy, a hotel's login page) has not recorded anything.
 */
export function understand(
  status: number,
  retryAfter: string | null,
  body: string,
  sent: number,
  nowMs: number,
): Outcome {
  const said = parsed(body);
  if (status === ACCEPTED) {
    const rejected = byPlace(said["errors"], sent);
    const counted = [said["accepted"], said["duplicates"], said["rejected"]].map(Number);
    if (counted.reduce((sum, one) => sum + one, 0) === sent && rejected.size === counted[2]) {
      return { kind: "recorded", rejected };
    }
  }
  if (status < 400 || status >= 500 || LATER.has(status)) {
    return { kind: "later", reason: reasonOf(status, said), leastMs: retryAfterMs(retryAfter, nowMs) };
  }
  return { kind: "refused", status, reason: reasonOf(status, said), named: byPlace(said["errors"], sent) };
}

/** Milliseconds, at most an hour; 0 where it says nothing. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  const text = header?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return ms > 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : 0;
}

function parsed(body: string): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(body);
    return typeof said === "object" && said !== null ? (said as Record<string, unknown>) : {};
  } catch {
    return {}; // then nothing is said, and the status alone counts
  }
}

function reasonOf(status: number, said: Record<string, unknown>): string {
  const detail = said["detail"];
  return typeof detail === "string" ? `${status}: ${detail}` : `status ${status}`;
}

function byPlace(errors: unknown, sent: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const one of Array.isArray(errors) ? (errors as Record<string, unknown>[]) : []) {
    const pointer = String(one["pointer"]);
    const index = Number(one["index"] ?? /^#\/interactions\/(\d+)(\/|$)/.exec(pointer)?.[1] ?? Number.NaN);
    if (!(index >= 0 && index < sent)) continue;
    const reason = `${pointer.replace(/^#\/interactions\/\d+/, "#")}: ${String(one["reason"])}`;
    found.set(index, found.has(index) ? `${found.get(index)}; ${reason}` : reason);
  }
  return found;
}
