/** One interaction that is not recorded yet. */
export interface Pending {
  /** Names it in the queue. */
  readonly key: string;
  /** As JSON: what was recorded does not change any more. */
  readonly text: string;
  /** Of the text, in UTF-8. */
  readonly bytes: number;
}

/** How much may wait. */
export interface Bounds {
  readonly interactions: number;
  readonly bytes: number;
}

const utf8 = new TextEncoder();
let made = 0;

/** The key sorts by time and says the size: a queue that is shared is measured by its keys alone. */
export function pending(text: string, nowMs: number): Pending {
  const bytes = utf8.encode(text).length;
  const unique = crypto.getRandomValues(new Uint32Array(2)).join("");
  made += 1;
  return { key: [nowMs, bytes, made, unique].join("."), text, bytes };
}

export function readKey(key: string): { atMs: number; bytes: number } {
  const [atMs = 0, bytes = 0] = key.split(".").map(Number);
  return { atMs, bytes };
}

/** Interactions in the order in which they came, in memory. */
export class Queue {
  protected readonly held = new Map<string, Pending>();
  protected heldBytes = 0;

  constructor(protected readonly bounds: Bounds) {}

  get size(): number {
    return this.held.size;
  }

  /** Whether there was room for it. */
  add(one: Pending): boolean {
    if (this.held.size >= this.bounds.interactions || this.heldBytes + one.bytes > this.bounds.bytes) return false;
    this.hold(one);
    return true;
  }

  /** Whether it was there. */
  remove(one: Pending): boolean {
    if (!this.held.delete(one.key)) return false;
    this.heldBytes -= one.bytes;
    return true;
  }

  all(): Iterable<Pending> {
    return this.held.values();
  }

  /** Whether it will still be there for another client to send when this one is gone. */
  outlives(_one: Pending): boolean {
    return false;
  }

  /** Takes over what other pages left behind, where it is at least so old. */
  adopt(_minAgeMs: number): void {}

  /** Runs it while no other page of the queue sends. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  close(): void {}

  protected hold(one: Pending): void {
    this.held.set(one.key, one);
    this.heldBytes += one.bytes;
  }
}
