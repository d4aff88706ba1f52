import { Delivery } from "./delivery.js";
import { Http } from "./http.js";
import { type Interaction, type SentInteraction, stamped } from "./interaction.js";
import { type DropReason, type Options, type Rejection, type Settings, settled } from "./options.js";
import { Pump } from "./pump.js";
import { type Pending, pending, Queue } from "./queue.js";
import { Reads } from "./reads.js";
import { findStorage, StoredQueue } from "./stored-queue.js";
import { inPage, listen } from "./surroundings.js";

const FLUSH_MS = 10_000;

/** Since the client was made. */
export interface Counts {
  /** Waiting to be sent, or sent and not acknowledged. */
  readonly queued: number;
  /** Acknowledged: committed by the server, or known to it already. */
  readonly recorded: number;
  readonly rejected: number;
  readonly dropped: number;
}

/** A flush. */
interface Waiting {
  /** What it waits for. */
  readonly keys: Set<string>;
  readonly done: () => void;
}

/** Takes interactions at once and brings them to Footfall, each exactly once, whatever fails on the way. */
export class Footfall {
  /** History, popularity, recommendations, receipts. */
  readonly reads: Reads;
  private readonly settings: Settings;
  private readonly http: Http;
  private readonly queue: Queue;
  private readonly delivery: Delivery;
  private readonly pump: Pump;
  private readonly stopListening: () => void;
  private readonly waiting = new Set<Waiting>();
  private readonly sentLeaving = new Set<string>();
  private readonly tally = { recorded: 0, rejected: 0, dropped: 0 };
  private readonly told = new Set<string>();
  private closed = false;

  /** Throws RangeError or TypeError for options that can't be meant. */
  constructor(private readonly options: Options) {
    this.settings = settled(options, inPage());
    const { token, url, requestTimeoutMs, batchSize, batchBytes } = this.settings;
    this.http = new Http(url, token, requestTimeoutMs);
    this.reads = new Reads(this.http);
    this.queue = this.openQueue();
    const settling = {
      recorded: (one: Pending) => this.left(one, "recorded"),
      rejected: (one: Pending, rejection: Rejection) => this.reject(one, rejection),
    };
    this.delivery = new Delivery(this.http, settling, batchSize, batchBytes);
    this.pump = new Pump(this.queue, this.delivery, this.settings, (later, delayMs, failures) => {
      tell(() => options.onRetry?.({ reason: later.reason, delayMs, failures }));
    });
    this.stopListening = listen({
      leave: () => this.leave(),
      back: () => this.back(),
      online: () => this.pump.retry(),
      exit: () => void this.exit(),
    });
    this.queue.adopt(0); // what earlier pages left
    if (this.queue.size > 0) this.pump.within(0);
  }

  /**
   * Queues it and returns at once: its id, or null where it was dropped. In a browser it is in the page's storage then.
   *
   * Throws TypeError for what can't be JSON.
   */
  record(interaction: Interaction): string | null {
    const sent = stamped(interaction, new Date());
    const one = pending(JSON.stringify(sent), Date.now());
    if (this.closed || !this.queue.add(one)) {
      this.dropped(one, this.closed ? "closed" : "full");
      return null;
    }
    this.pump.within(this.queue.size >= this.settings.batchSize ? 0 : this.settings.flushIntervalMs);
    return sent.event_id;
  }

  /** Whether all that was recorded until now is settled within so long. Keeps a process alive meanwhile. */
  flush(timeoutMs: number = FLUSH_MS): Promise<boolean> {
    const keys = new Set(Array.from(this.queue.all(), (one) => one.key));
    if (keys.size === 0) return Promise.resolve(true);
    this.pump.within(0);
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(deadline);
        this.waiting.delete(waiting);
        resolve(keys.size === 0);
      };
      const deadline = setTimeout(done, timeoutMs);
      const waiting = { keys, done };
      this.waiting.add(waiting);
    });
  }

  /** Flushes and ends. What could not be sent is dropped, unless the page's storage has it for the next one. */
  async close(timeoutMs: number = FLUSH_MS): Promise<boolean> {
    this.closed = true;
    const all = await this.flush(timeoutMs);
    this.pump.stop();
    this.stopListening();
    this.dropRest();
    this.queue.close();
    return all;
  }

  get counts(): Counts {
    return { queued: this.queue.size, ...this.tally };
  }

  private openQueue(): Queue {
    const { maxQueued: interactions, maxQueuedBytes: bytes, persist, queue } = this.settings;
    const storage = persist ? findStorage() : null;
    if (storage === null || storage instanceof Error) {
      if (storage !== null) this.storageFailed(storage);
      return new Queue({ interactions, bytes });
    }
    const onLeft = (one: Pending): void => this.settle(one);
    const onError = (error: unknown): void => this.storageFailed(error);
    return new StoredQueue({ interactions, bytes }, storage, `footfall:${queue}:`, onLeft, onError);
  }

  private leave(): void {
    const unsent = Array.from(this.queue.all()).filter((one) => !this.sentLeaving.has(one.key));
    for (const one of this.delivery.leave(unsent)) this.sentLeaving.add(one.key);
  }

  private back(): void {
    this.sentLeaving.clear();
    if (this.queue.size > 0) this.pump.within(0);
  }

  private async exit(): Promise<void> {
    if (this.queue.size === 0) return;
    if (!(await this.flush(this.settings.exitTimeoutMs))) this.dropRest();
  }

  private dropRest(): void {
    this.http.stop();
    for (const one of Array.from(this.queue.all())) {
      if (!this.queue.outlives(one) && this.left(one, null)) this.dropped(one, "exit");
    }
  }

  /** It is settled; false where it was already, as of a page that came back two answers may come. */
  private left(one: Pending, as: "recorded" | "rejected" | null): boolean {
    if (!this.queue.remove(one)) return false;
    if (as !== null) this.tally[as] += 1;
    this.settle(one);
    return true;
  }

  private settle(one: Pending): void {
    this.sentLeaving.delete(one.key);
    for (const waiting of Array.from(this.waiting)) {
      if (waiting.keys.delete(one.key) && waiting.keys.size === 0) waiting.done();
    }
  }

  private reject(one: Pending, rejection: Rejection): void {
    if (!this.left(one, "rejected")) return;
    const { onRejected } = this.options;
    if (onRejected !== undefined) tell(() => onRejected(read(one), rejection));
    else this.warn("rejected", `an interaction was rejected: ${rejection.reason}`);
  }

  private dropped(one: Pending, reason: DropReason): void {
    this.tally.dropped += 1;
    const { onDropped } = this.options;
    if (onDropped !== undefined) tell(() => onDropped(read(one), reason));
    else this.warn("dropped", `an interaction was dropped: ${reason}`);
  }

  private storageFailed(error: unknown): void {
    if (this.told.has("storage")) return;
    this.told.add("storage");
    const { onStorageError } = this.options;
    if (onStorageError !== undefined) tell(() => onStorageError(error));
    else console.warn(`footfall: interactions do not outlive this page: ${String(error)}`);
  }

  /** Where nobody asked to be told: once. */
  private warn(kind: string, text: string): void {
    if (this.told.has(kind)) return;
    this.told.add(kind);
    console.warn(`footfall: ${text}; more are only counted`);
  }
}

function read(one: Pending): SentInteraction {
  return JSON.parse(one.text) as SentInteraction;
}

/** What a callback throws is the application's, and reported as its own: nothing here stops by it. */
function tell(call: () => void): void {
  queueMicrotask(call);
}
