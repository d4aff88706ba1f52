import type { Outcome, Refused } from "./answers.js";
import { cut } from "./batches.js";
import type { Http } from "./http.js";
import type { Rejection } from "./options.js";
import type { Pending } from "./queue.js";

/** Refusals that are of one interaction or of too many, and hold for the whole request: the halves are tried. */
const OF_SOME = new Set([400, 413, 421, 422]);
const TOO_LARGE = 413;
const LEAST_BATCH_BYTES = 1_024;
/** Browsers let 64 KiB be under way from pages that were left, in all; in pieces, as others may have some of it. */
const LEAVING_BYTES = 60_000;
const LEAVING_PIECE_BYTES = 15_000;

export interface Settling {
  recorded(one: Pending): void;
  rejected(one: Pending, rejection: Rejection): void;
}

export type Later = Extract<Outcome, { kind: "later" }>;

/** Brings batches to the server, until each of their interactions is recorded, rejected, or to be tried later. */
export class Delivery {
  /** Under way from a page that was left. */
  private leavingBytes = 0;

  constructor(
    private readonly http: Http,
    private readonly settling: Settling,
    private readonly batchSize: number,
    private batchBytes: number,
  ) {}

  /** Sends the first of them that fit. Null when they are settled; else why they have to wait. */
  async next(all: Iterable<Pending>): Promise<Later | null> {
    return this.deliver(cut(all, this.batchSize, this.batchBytes));
  }

  /** From a page that is being left: what fits, oldest first. The rest, and what is not answered, stays queued. */
  leave(all: Iterable<Pending>): Pending[] {
    const fitting: Pending[] = [];
    let room = LEAVING_BYTES - this.leavingBytes;
    for (const one of all) {
      room -= sizeOf(one);
      if (room < 0) break;
      fitting.push(one);
    }
    for (let rest = fitting; rest.length > 0;) {
      const piece = cut(rest, this.batchSize, Math.min(LEAVING_PIECE_BYTES, this.batchBytes));
      rest = rest.slice(piece.length);
      void this.sendLeaving(piece);
    }
    return fitting;
  }

  private async sendLeaving(piece: readonly Pending[]): Promise<void> {
    const bytes = piece.reduce((sum, one) => sum + sizeOf(one), 0);
    this.leavingBytes += bytes;
    const outcome = await this.http.recordLeaving(piece);
    this.leavingBytes -= bytes;
    if (outcome !== null) await this.settle(piece, outcome);
  }

  private async deliver(batch: readonly Pending[]): Promise<Later | null> {
    return this.settle(batch, await this.http.record(batch));
  }

  private async settle(batch: readonly Pending[], outcome: Outcome): Promise<Later | null> {
    switch (outcome.kind) {
      case "later":
        return outcome;
      case "recorded":
        batch.forEach((one, index) => {
          const reason = outcome.rejected.get(index);
          if (reason === undefined) this.settling.recorded(one);
          else this.settling.rejected(one, { reason });
        });
        return null;
      case "refused":
        return this.refused(batch, outcome);
    }
  }

  private async refused(batch: readonly Pending[], { status, reason, named }: Refused): Promise<Later | null> {
    if (status === TOO_LARGE) this.batchBytes = Math.max(LEAST_BATCH_BYTES, Math.floor(this.batchBytes / 2));
    if (named.size === 0 && batch.length > 1 && OF_SOME.has(status)) {
      const middle = Math.ceil(batch.length / 2);
      return (await this.deliver(batch.slice(0, middle))) ?? (await this.deliver(batch.slice(middle)));
    }
    const others = batch.filter((one, index) => {
      const own = named.size === 0 ? reason : named.get(index);
      if (own !== undefined) this.settling.rejected(one, { status, reason: own });
      return own === undefined;
    });
    return others.length > 0 ? this.deliver(others) : null;
  }
}

/** In a body, with its comma. */
function sizeOf(one: Pending): number {
  return one.bytes + 1;
}
