import type { Http } from "./http.js";
import type { components, operations } from "./openapi.js";

type Schemas = components["schemas"];
type QueryOf<Name extends keyof operations> = operations[Name] extends { parameters: { query?: infer Q } }
  ? { [Field in keyof NonNullable<Q>]: NonNullable<Q>[Field] | undefined }
  : never;

export type History = Schemas["HistoryOut"];
export type Popularity = Schemas["PopularityOut"];
export type Top = Schemas["TopOut"];
export type Recommendations = Schemas["RecommendationsOut"];
export type Receipt = Schemas["EventReceiptOut"];

export type HistoryQuery = QueryOf<"account_interactions_interactions__account_id__get">;
export type TopQuery = QueryOf<"top_products_popularity_top_get">;
export type RecommendationsQuery = QueryOf<"recommendations_recommendations__account_id__get">;
export type ReceiptQuery = QueryOf<"event_receipt_interaction__event_id__get">;

/** What a storefront reads. Each throws FootfallError for an answer that is none, and is not tried again. */
export class Reads {
  constructor(private readonly http: Http) {}

  /** What an account did, newest first. */
  history(accountId: string, query: HistoryQuery = {}): Promise<History> {
    return this.http.get(`/interactions/${encodeURIComponent(accountId)}`, query);
  }

  /** Products by score. */
  top(query: TopQuery = {}): Promise<Top> {
    return this.http.get("/popularity/top", query);
  }

  /** One product's score and counters. */
  popularity(productId: string): Promise<Popularity> {
    return this.http.get(`/popularity/${encodeURIComponent(productId)}`, {});
  }

  recommendations(accountId: string, query: RecommendationsQuery = {}): Promise<Recommendations> {
    return this.http.get(`/recommendations/${encodeURIComponent(accountId)}`, query);
  }

  /** What became of one interaction. */
  receipt(eventId: string, query: ReceiptQuery = {}): Promise<Receipt> {
    return this.http.get(`/interaction/${encodeURIComponent(eventId)}`, query);
  }
}
