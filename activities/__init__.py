"""One module a fan-out. To add one: its module, its store, a migration, a test, and a line in FAN_OUTS."""

from activities.count_experiments import CountExperiments
from activities.fan_out import FanOut
from activities.feed_recommendations import Recommendations
from activities.persist import Persist
from activities.popularity import Popularity
from activities.publish import Publish

FAN_OUTS: tuple[type[FanOut], ...] = (
    Persist,
    Popularity,
    Recommendations,
    CountExperiments,
    Publish,
)
