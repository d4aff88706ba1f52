export { type Counts, Footfall } from "./client.js";
export { FootfallError } from "./http.js";
export {
  type EventType,
  type Interaction,
  type JsonValue,
  type Metadata,
  type SentInteraction,
  WEIGHTED_EVENT_TYPES,
} from "./interaction.js";
export type { DropReason, Options, Rejection, Retry, Token } from "./options.js";
export type {
  History,
  HistoryQuery,
  Popularity,
  Receipt,
  ReceiptQuery,
  Reads,
  Recommendations,
  RecommendationsQuery,
  Top,
  TopQuery,
} from "./reads.js";
