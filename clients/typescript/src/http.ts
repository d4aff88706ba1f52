import { type Outcome, understand } from "./answers.js";
import { bodyOf } from "./batches.js";
import type { Token } from "./options.js";
import type { Pending } from "./queue.js";

const UNAUTHORIZED = 401;

/** Speaks to one Footfall as one caller. */
export class Http {
  private lastToken: string | undefined;
  private ending = new AbortController();

  constructor(
    readonly url: string,
    private readonly token: Token | undefined,
    private readonly timeoutMs: number,
  ) {}

  /** Never throws: what goes wrong on the way is an outcome too. */
  async record(batch: readonly Pending[]): Promise<Outcome> {
    try {
      return await this.posted(batch, {
        signal: AbortSignal.any([AbortSignal.timeout(this.timeoutMs), this.ending.signal]),
      });
    } catch (error) {
      return { kind: "later", reason: textOf(error), leastMs: 0 };
    }
  }

  /**
   * The same from a page that may be gone in a moment: the browser goes on with the request. It takes 64 KiB of them
   * at once, and refuses what is over that. Null where nothing can be heard of it.
   */
  async recordLeaving(batch: readonly Pending[]): Promise<Outcome | null> {
    if (!("keepalive" in Request.prototype)) {
      this.beacon(batch);
      return null;
    }
    try {
      return await this.posted(batch, { keepalive: true });
    } catch {
      return null; // it stays in the queue
    }
  }

  /** Ends the request that is under way: it would keep a process alive that is to end. */
  stop(): void {
    this.ending.abort();
    this.ending = new AbortController();
  }

  async get<T>(path: string, query: Query): Promise<T> {
    const url = new URL(this.url + path);
    for (const [name, value] of Object.entries(query)) {
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== undefined && one !== null) url.searchParams.append(name, String(one));
      }
    }
    const init = { signal: AbortSignal.timeout(this.timeoutMs), credentials: "omit" } as const;
    const answer = await fetch(url, { ...init, headers: await this.authorization() });
    const text = await answer.text();
    if (!answer.ok) throw new FootfallError(answer.status, text);
    return JSON.parse(text) as T;
  }

  private async posted(batch: readonly Pending[], init: RequestInit): Promise<Outcome> {
    const body = bodyOf(batch);
    // Of a page that is being left nothing runs after an await: the token that was used last has to do.
    const known = init.keepalive === true && this.lastToken !== undefined;
    let answer = await this.post(body, init, known ? bearer(this.lastToken) : await this.authorization());
    if (answer.status === UNAUTHORIZED && typeof this.token === "function") {
      answer = await this.post(body, init, await this.authorization()); // it may just have ended
    }
    const retryAfter = answer.headers.get("Retry-After");
    return understand(answer.status, retryAfter, await answer.text(), batch.length, Date.now());
  }

  private post(body: string, init: RequestInit, authorization: Record<string, string>): Promise<Response> {
    const headers = { "Content-Type": "application/json", ...authorization };
    return fetch(this.recordUrl, { method: "POST", body, headers, credentials: "omit", ...init });
  }

  private get recordUrl(): string {
    return `${this.url}/interaction?partial=true`;
  }

  private async authorization(): Promise<Record<string, string>> {
    this.lastToken = typeof this.token === "function" ? await this.token() : this.token;
    return bearer(this.lastToken);
  }

  /**
   * For browsers without `keepalive`. A beacon has no Authorization, and to another origin it comes with cookies,
   * which Footfall's CORS does not take: so it is of use on the API's own origin, where no key is asked for.
   */
  private beacon(batch: readonly Pending[]): void {
    if (this.token !== undefined || new URL(this.url).origin !== location.origin) return;
    navigator.sendBeacon(this.recordUrl, new Blob([bodyOf(batch)], { type: "application/json" }));
  }
}

export type Query = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly (string | number)[]>
>;

/** An answer that is none: what Footfall says is wrong, as problem details (RFC 9457). */
export class FootfallError extends Error {
  override readonly name = "FootfallError";

  constructor(
    readonly status: number,
    /** The whole of the answer. */
    readonly body: string,
  ) {
    super(`status ${status}: ${body.slice(0, 500)}`);
  }
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

function textOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return String(error) + cause;
}
