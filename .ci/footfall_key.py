"""Footfall's own API keys, for detect-secrets: known by their form, and by their checksum to be real ones."""

import re
from collections.abc import Generator

from detect_secrets.plugins.base import RegexBasedDetector

from domain.access import KEY_PATTERN, is_whole_key


class FootfallKeyDetector(RegexBasedDetector):
    secret_type = "Footfall API key"  # noqa: S105  (a name)
    denylist = (re.compile(KEY_PATTERN),)

    def analyze_string(self, string: str) -> Generator[str, None, None]:
        yield from filter(is_whole_key, super().analyze_string(string))
