import { type Bounds, type Pending, Queue, readKey } from "./queue.js";

const LONGEST_WAIT_FOR_OTHERS_MS = 5_000;

/**
 * A queue that outlives its page, in localStorage: an interaction is kept before `record` returns, under a key of its
 * own, so that tabs never overwrite each other's. What another page left behind is adopted.
 *
 * A tab that sends what another one sends too does no harm: the server knows the ids.
 */
export class StoredQueue extends Queue {
  private readonly stored = new Set<string>();
  private readonly changed = (event: StorageEvent): void => this.hear(event);

  constructor(
    bounds: Bounds,
    private readonly storage: Storage,
    private readonly prefix: string,
    private readonly onLeft: (one: Pending) => void,
    private readonly onStorageError: (error: unknown) => void,
  ) {
    super(bounds);
    addEventListener("storage", this.changed);
  }

  /** The bounds are for all pages of the queue together. */
  override add(one: Pending): boolean {
    const others = this.foreign();
    const bytes = others.reduce((sum, key) => sum + readKey(key).bytes, this.heldBytes + one.bytes);
    if (this.held.size + others.length >= this.bounds.interactions || bytes > this.bounds.bytes) return false;
    this.hold(one);
    this.guarded(() => {
      this.storage.setItem(this.prefix + one.key, one.text);
      this.stored.add(one.key);
    });
    return true;
  }

  override remove(one: Pending): boolean {
    this.guarded(() => this.storage.removeItem(this.prefix + one.key));
    this.stored.delete(one.key);
    return super.remove(one);
  }

  override outlives(one: Pending): boolean {
    return this.stored.has(one.key);
  }

  override adopt(minAgeMs: number): void {
    const latestMs = Date.now() - minAgeMs;
    for (const key of this.foreign().filter((one) => readKey(one).atMs <= latestMs)) {
      this.guarded(() => {
        const text = this.storage.getItem(this.prefix + key);
        if (text === null) return; // another tab was quicker
        this.stored.add(key);
        this.hold({ key, text, bytes: readKey(key).bytes });
      });
    }
  }

  /** By a lock of the browser's, where it has them (https and localhost); else the server's ledger alone sees to it. */
  override async alone<T>(work: () => Promise<T>): Promise<T> {
    const locks = (navigator as { locks?: LockManager }).locks;
    if (locks === undefined) return work();
    const waiting = new AbortController();
    const patience = setTimeout(() => waiting.abort(), LONGEST_WAIT_FOR_OTHERS_MS);
    let begun: Promise<T> | undefined;
    try {
      await locks.request(this.prefix, { signal: waiting.signal }, () => {
        clearTimeout(patience);
        begun = work();
        return begun.catch(() => undefined); // it is told to who called, below
      });
    } catch {
      // No lock, or not in time: a tab that stands still holds nobody up.
    } finally {
      clearTimeout(patience);
    }
    return begun ?? work();
  }

  override close(): void {
    removeEventListener("storage", this.changed);
  }

  /** Another tab had it recorded. One that cleared the whole storage says no key: then ours are still to be sent. */
  private hear(event: StorageEvent): void {
    if (event.storageArea !== this.storage || event.newValue !== null || !event.key?.startsWith(this.prefix)) return;
    const key = event.key.slice(this.prefix.length);
    const one = this.held.get(key);
    this.stored.delete(key);
    if (one !== undefined && super.remove(one)) this.onLeft(one);
  }

  /** Keys in the storage that this page does not hold, oldest first. */
  private foreign(): string[] {
    const found: string[] = [];
    this.guarded(() => {
      for (let index = 0; index < this.storage.length; index += 1) {
        const key = this.storage.key(index);
        if (!key?.startsWith(this.prefix)) continue;
        const own = key.slice(this.prefix.length);
        if (!this.held.has(own)) found.push(own);
      }
    });
    return found.sort((one, other) => readKey(one).atMs - readKey(other).atMs);
  }

  /** A storage that is full, or taken away, costs outliving the page and nothing else. */
  private guarded(use: () => void): void {
    try {
      use();
    } catch (error) {
      this.onStorageError(error);
    }
  }
}

/** The page's storage, or why there is none: browsers refuse it by an exception, or have it refuse every write. */
export function findStorage(): Storage | Error {
  try {
    const probe = "footfall:probe";
    localStorage.setItem(probe, "");
    localStorage.removeItem(probe);
    return localStorage;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
