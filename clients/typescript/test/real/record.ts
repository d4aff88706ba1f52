/** Records with a real Footfall, as its standard input says in JSON, and prints what the client says of it. */
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { Footfall, type Interaction, type Options } from "../../src/index.js";

interface Plan {
  options: Options;
  interactions: Interaction[];
  /** So many clients, each with a part of the interactions. */
  clients?: number;
  /** Between two interactions. */
  paceMs?: number;
  /** `leave`: nothing is done, and the process ends when it has nothing more to do. */
  end: "close" | "leave";
  endTimeoutMs?: number;
  /** Every other answer is lost on the way. */
  loseAnswers?: boolean;
}

const plan = JSON.parse(readFileSync(0, "utf8")) as Plan;
const ids: (string | null)[] = [];
const rejected: unknown[] = [];
const dropped: unknown[] = [];
const retries: string[] = [];
let lost = 0;

const link = plan.loseAnswers === true ? await openLossyLink(plan.options.url) : null;
const options: Options = {
  ...plan.options,
  url: link?.url ?? plan.options.url,
  onRejected: (interaction, rejection) => rejected.push({ id: interaction.event_id, ...rejection }),
  onDropped: (interaction, reason) => dropped.push({ id: interaction.event_id, reason }),
  onRetry: (retry) => retries.push(retry.reason),
};
const clients = Array.from({ length: plan.clients ?? 1 }, () => new Footfall(options));

for (const [index, interaction] of plan.interactions.entries()) {
  ids.push(clients[index % clients.length]?.record(interaction) ?? null);
  if (plan.paceMs !== undefined) await sleep(plan.paceMs);
  if (ids.length % 100 === 0) console.log(JSON.stringify({ recorded: ids.length }));
}
if (plan.end === "close") {
  await Promise.all(clients.map((client) => client.close(plan.endTimeoutMs)));
  link?.close();
}
process.on("exit", () => {
  const counts = clients.map((client) => client.counts);
  console.log(JSON.stringify({ ids, rejected, dropped, retries, counts, lost }));
});

/** Passes requests on, and every other time cuts the connection in place of answering. */
async function openLossyLink(target: string): Promise<{ url: string; close: () => void }> {
  let passed = 0;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on(
      "end",
      () => void answer(request.url ?? "", request.headers, Buffer.concat(parts).toString(), response),
    );
  });
  async function answer(path: string, headers: NodeJS.Dict<unknown>, body: string, response: ServerResponse) {
    const kept = { "Content-Type": String(headers["content-type"]), Authorization: String(headers["authorization"]) };
    const real = await fetch(target + path, { method: "POST", body, headers: kept });
    const text = await real.text();
    passed += 1;
    if (passed % 2 === 1) {
      lost += 1;
      response.destroy();
    } else response.writeHead(real.status, { "Content-Type": "application/json" }).end(text);
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}
