import { Backoff } from "./backoff.js";
import type { Delivery, Later } from "./delivery.js";
import type { Settings } from "./options.js";
import type { Queue } from "./queue.js";

/** Of another page that is still there and will send its own. */
const OTHERS_MS = 30_000;
const OFFLINE: Later = { kind: "later", reason: "the browser is offline", leastMs: 0 };

/** Decides when the queue is sent: one request at a time, so that what comes meanwhile goes together. */
export class Pump {
  private readonly backoff: Backoff;
  private running: Promise<void> | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private timerAtMs = Infinity;
  private notBeforeMs = 0;
  private stopped = false;

  constructor(
    private readonly queue: Queue,
    private readonly delivery: Delivery,
    private readonly settings: Settings,
    private readonly onFailure: (later: Later, delayMs: number, failures: number) => void,
  ) {
    this.backoff = new Backoff(settings.retryBaseMs, settings.retryMostMs);
  }

  /** Sends within so many milliseconds, but not before the server wants it. */
  within(delayMs: number): void {
    const atMs = Math.max(performance.now() + delayMs, this.notBeforeMs);
    if (this.stopped || this.running !== undefined || atMs >= this.timerAtMs) return;
    clearTimeout(this.timer);
    this.timerAtMs = atMs;
    this.timer = setTimeout(() => this.start(), atMs - performance.now());
    unref(this.timer);
  }

  /** What held it up may be over. */
  retry(): void {
    this.notBeforeMs = 0;
    this.within(0);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private start(): void {
    this.timerAtMs = Infinity;
    this.running = this.drain().finally(() => {
      this.running = undefined;
      if (this.queue.size > 0) this.within(this.backoff.failures > 0 ? 0 : this.settings.flushIntervalMs);
    });
  }

  private async drain(): Promise<void> {
    const failure = isOffline() ? OFFLINE : await this.queue.alone(() => this.sendAll());
    if (failure === null) return;
    const delayMs = this.backoff.failed(failure.leastMs);
    this.notBeforeMs = performance.now() + delayMs;
    this.onFailure(failure, delayMs, this.backoff.failures);
  }

  private async sendAll(): Promise<Later | null> {
    this.queue.adopt(OTHERS_MS);
    while (this.queue.size > 0 && !this.stopped) {
      const later = await this.delivery.next(this.queue.all());
      if (later !== null) return later;
      this.backoff.succeeded(); // at every step: a server that takes some of it is not to be waited for ever longer
    }
    return null;
  }
}

function isOffline(): boolean {
  return (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine === false;
}

/** A timer keeps no process alive. */
function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}
