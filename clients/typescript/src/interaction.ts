import type { components } from "./openapi.js";

type Schemas = components["schemas"];

/** What JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Keys with a meaning have a type; others are kept as they come. At most 4 KiB as JSON. */
export interface Metadata {
  /** A decimal, as "12.50" or 12.5. */
  price?: string | number;
  /** 1 or more. */
  quantity?: number;
  /** ISO 4217. */
  currency?: string;
  seller_id?: string;
  order_id?: string;
  /** Of the answer of `recommendations` that it came of. */
  recommendation_id?: string;
  /** From 0. */
  position?: number;
  [key: string]: JsonValue | undefined;
}

/** The types that have a weight in popularity as Footfall ships. */
export const WEIGHTED_EVENT_TYPES = [
  "purchase",
  "add_to_favorites",
  "checkout_started",
  "add_to_cart",
  "write_review",
  "rating_high",
  "like",
  "view",
  "ask_question",
  "click_from_search",
  "click_from_recommendation",
  "view_similar_products",
  "click_from_category",
  "rating_medium",
  "product_impression",
  "view_bounce",
  "not_interested",
  "remove_from_cart",
  "hide_item",
  "rating_low",
  "dislike",
  "return_product",
  "cancel_order",
  "refund_requested",
  "report_product",
] as const;

/** One with a weight, or any other of `[a-z][a-z0-9_]*`, which is recorded all the same. */
export type EventType = (typeof WEIGHTED_EVENT_TYPES)[number] | (string & Record<never, never>);

/** One thing that one account did, with one product or category: the names are those of the HTTP interface. */
export type Interaction = Rest & {
  /** Only an account's own token may leave it out, as it says it. */
  account_id?: string | undefined;
  event_type: EventType;
  /** RFC 3339. `record` sets it where it is absent: now. */
  occurred_at?: string | Date | null | undefined;
  metadata?: Metadata | null | undefined;
};

type Plain = Omit<Schemas["InteractionIn"], "account_id" | "event_type" | "occurred_at" | "metadata">;
type Rest = { [Field in keyof Plain]: undefined extends Plain[Field] ? Plain[Field] | undefined : Plain[Field] };

/** As it is sent and kept: with its id and its time. */
export type SentInteraction = Interaction & { event_id: string; occurred_at: string };

/** Gives it what sending it again needs: an id that is made once, and the time, as the id is known by its day. */
export function stamped(interaction: Interaction, now: Date): SentInteraction {
  const at = interaction.occurred_at ?? now;
  return {
    ...interaction,
    event_id: interaction.event_id ?? newEventId(now.getTime()),
    occurred_at: typeof at === "string" ? at : at.toISOString(),
  };
}

/** A UUIDv7 (RFC 9562). `crypto.randomUUID` is for pages by https alone, and version 4. */
export function newEventId(nowMs: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(nowMs / 0x1_0000));
  view.setUint16(4, nowMs % 0x1_0000);
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x70);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
