"""Ids in paths: any text, slashes and line breaks too. Starlette's own `path` ends at a line break."""

from starlette.convertors import Convertor, register_url_convertor


class _Text(Convertor[str]):
    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def know_text_in_paths() -> None:
    """Makes `{name:text}` known to routes; again is harmless."""
    register_url_convertor("text", _Text())
