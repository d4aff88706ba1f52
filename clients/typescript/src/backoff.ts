/** When to try again after failures in a row: exponential with full jitter, and never before the server said. */
export class Backoff {
  failures = 0;

  constructor(
    private readonly baseMs: number,
    private readonly mostMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** How long to wait now that it failed; `leastMs` is Retry-After's. What all were told they do not all do at once. */
  failed(leastMs: number): number {
    const ceiling = Math.min(this.mostMs, this.baseMs * 2 ** this.failures);
    this.failures += 1;
    return leastMs + this.random() * ceiling;
  }

  succeeded(): void {
    this.failures = 0;
  }
}
