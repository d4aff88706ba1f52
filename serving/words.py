"""Recommendations as the interface has them: reasons in words."""

from domain import recommendations
from recommend.answer import Reason, Recommended

_TEXTS = {
    "viewed": "because you viewed {item_id}",
    "bought": "because you bought {item_id}",
    "similar": "similar to {item_id}",
    "popular_in_category": "popular in {category}",
    "popular": "popular now",
    "trending": "trending this week",
    "new": "new",
}


def worded(one: Recommended) -> recommendations.Recommended:
    return recommendations.Recommended(one.item_id, one.score, one.source, _reason(one.reason))


def _reason(reason: Reason) -> recommendations.Reason:
    text = _TEXTS[reason.kind].format(item_id=reason.item_id, category=reason.category)
    return recommendations.Reason(reason.kind, text, reason.item_id, reason.category)
