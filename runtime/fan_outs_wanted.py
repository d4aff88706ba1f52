"""Which fan-outs the settings want: whatever starts batches, or tells of them, asks here."""

from activities import FAN_OUTS
from activities.publish import Publish
from runtime.settings import Settings

ALL_FAN_OUTS = [fan_out.name for fan_out in FAN_OUTS]


def fan_outs_of(settings: Settings) -> list[str]:
    """The names of those that a batch is given when it is started."""
    return [name for name in ALL_FAN_OUTS if name != Publish.name or settings.publish_topic is not None]
