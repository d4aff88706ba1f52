"""What operators ask of recommendations, for GET /metrics."""

from prometheus_client import Counter

ANSWERS = Counter("footfall_recommendation_answers", "Answers, by the rung that they stand on.", ["rung"])
FAILURES = Counter("footfall_recommendation_failures", "Parts that gave no answer in time, by part.", ["part"])
LATE_SOURCES = Counter(
    "footfall_recommendation_late_sources",
    "Sources of candidates left out of an answer: over their time.",
    ["source"],
)
CACHE_LOOKS = Counter(
    "footfall_recommendation_cache_looks", "Looks into a cache, by cache and result.", ["cache", "result"]
)
