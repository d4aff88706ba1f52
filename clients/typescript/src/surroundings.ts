/** What the client hears of the page or the process that it lives in. */
export interface Heard {
  /** The page is hidden or left, and may never be seen again. */
  readonly leave: () => void;
  /** The page is there again. */
  readonly back: () => void;
  /** There is a network again. */
  readonly online: () => void;
  /** The process has nothing else to do. */
  readonly exit: () => void;
}

interface NodeProcess {
  readonly versions?: { readonly node?: string };
  on(event: "beforeExit", listener: () => void): void;
  off(event: "beforeExit", listener: () => void): void;
}

export function inPage(): boolean {
  return typeof document !== "undefined" && typeof window !== "undefined";
}

/** Until what it returns is called. */
export function listen(heard: Heard): () => void {
  if (inPage()) return listenToPage(heard);
  const { process } = globalThis as { process?: NodeProcess };
  if (process?.versions?.node === undefined) return () => undefined;
  process.on("beforeExit", heard.exit);
  return () => process.off("beforeExit", heard.exit);
}

function listenToPage(heard: Heard): () => void {
  const turned = (): void => (document.visibilityState === "hidden" ? heard.leave() : heard.back());
  const listeners: [EventTarget, string, () => void][] = [
    [document, "visibilitychange", turned],
    [window, "pagehide", heard.leave],
    [window, "pageshow", heard.back],
    [window, "online", heard.online],
  ];
  for (const [target, event, listener] of listeners) target.addEventListener(event, listener);
  return () => {
    for (const [target, event, listener] of listeners) target.removeEventListener(event, listener);
  };
}
