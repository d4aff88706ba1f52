import type { SentInteraction } from "./interaction.js";

/** Why one was not recorded and never will be. */
export interface Rejection {
  /** Of the answer; absent where it was not sent at all. */
  readonly status?: number;
  /** What is wrong, and where, as the server says it. */
  readonly reason: string;
}

/** `full`: no room in the queue; `exit`: the process ends, or the client was closed, and nothing could be sent in time. */
export type DropReason = "full" | "exit" | "closed";

export interface Retry {
  readonly reason: string;
  /** Until it is tried again. */
  readonly delayMs: number;
  /** How often in a row it has failed. */
  readonly failures: number;
}

/** An account's token, or what gives one: asked before every request, and once more after a 401. */
export type Token = string | (() => string | Promise<string>);

export interface Options {
  /** Where Footfall answers, as https://footfall.shop.example. */
  readonly url: string;
  /** For programs: in a page it would be everybody's. */
  readonly apiKey?: string | undefined;
  /** For pages and apps. */
  readonly token?: Token | undefined;

  /** Interactions in one request, at most; 1 to 1,000, by default 100. So many that wait are sent at once. */
  readonly batchSize?: number | undefined;
  /** Bytes of one request, at most; 900,000. */
  readonly batchBytes?: number | undefined;
  /** How long an interaction waits for others to go with it; 1,000. */
  readonly flushIntervalMs?: number | undefined;
  /** How many may wait, in all tabs together; what is recorded beyond is dropped, and told. 1,000 in a page, else 10,000. */
  readonly maxQueued?: number | undefined;
  /** How many bytes may wait, likewise; 1,000,000 in a page, else 16,000,000. */
  readonly maxQueuedBytes?: number | undefined;
  /** Whether the queue outlives its page: in a page it does. */
  readonly persist?: boolean | undefined;
  /** Of the queue: clients of one name share what waits, also with later pages. The URL where it is not said. */
  readonly queue?: string | undefined;

  /** For the whole of a request; 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** The first wait after a failure is up to this (500), and twice as much after each further one … */
  readonly retryBaseMs?: number | undefined;
  /** … up to this; 60,000. */
  readonly retryMostMs?: number | undefined;
  /** In Node, how long a process that has nothing else to do stays for what is not sent; 5,000. */
  readonly exitTimeoutMs?: number | undefined;

  /** One that the server refuses, and that is not sent again. */
  readonly onRejected?: ((interaction: SentInteraction, rejection: Rejection) => void) | undefined;
  /** One that is lost. */
  readonly onDropped?: ((interaction: SentInteraction, reason: DropReason) => void) | undefined;
  /** A request has failed, and is sent again. */
  readonly onRetry?: ((retry: Retry) => void) | undefined;
  /** The browser's storage is full or not there; once. Until the page ends nothing is lost by it. */
  readonly onStorageError?: ((error: unknown) => void) | undefined;
}

type Callbacks = "onRejected" | "onDropped" | "onRetry" | "onStorageError";
type Plain = Omit<Options, "apiKey" | "token" | Callbacks>;
export type Settings = { readonly [Name in keyof Plain]-?: NonNullable<Plain[Name]> } & {
  readonly token: Token | undefined;
};

const MOST_BATCH_SIZE = 1_000;

/** Throws RangeError or TypeError where they can't be meant. */
export function settled(options: Options, inPage: boolean): Settings {
  const { origin, pathname } = new URL(options.url);
  const url = (origin + pathname).replace(/\/+$/, "");
  if (options.apiKey !== undefined && options.token !== undefined) {
    throw new TypeError("apiKey or token, not both");
  }
  const settings: Settings = {
    url,
    token: options.token ?? options.apiKey,
    batchSize: options.batchSize ?? 100,
    batchBytes: options.batchBytes ?? 900_000,
    flushIntervalMs: options.flushIntervalMs ?? 1_000,
    maxQueued: options.maxQueued ?? (inPage ? 1_000 : 10_000),
    maxQueuedBytes: options.maxQueuedBytes ?? (inPage ? 1_000_000 : 16_000_000),
    persist: options.persist ?? inPage,
    queue: options.queue ?? url,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    retryBaseMs: options.retryBaseMs ?? 500,
    retryMostMs: options.retryMostMs ?? 60_000,
    exitTimeoutMs: options.exitTimeoutMs ?? 5_000,
  };
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "number" && !(value >= (name === "flushIntervalMs" ? 0 : 1))) {
      throw new RangeError(`${name} is ${value}`);
    }
  }
  if (settings.batchSize > MOST_BATCH_SIZE) throw new RangeError(`batchSize is over ${MOST_BATCH_SIZE}`);
  return settings;
}
