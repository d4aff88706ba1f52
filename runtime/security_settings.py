"""Settings of who may ask, and how much."""

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode

from runtime.ports import is_loopback

_RATE = r"^[1-9]\d{0,8}/(second|minute|hour|day)$"
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?", re.IGNORECASE)


def _origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r} is no origin such as https://shop.example; each has to be named")
    return origin


class SecuritySettings(BaseSettings):
    """What docs/security.md tells of."""

    api_key: SecretStr | None = Field(
        None, description="Key that `footfall import` and `footfall demo` send: operate for a catalog, else ingest."
    )
    jwks_url: SecretStr | None = Field(
        None, description="Where the keys are that accounts' tokens (JWT) are signed with; https, or this machine."
    )
    jwks_file: Path | None = Field(None, description="The same as a file, in place of a URL.")
    jwks_refresh_s: float = Field(300.0, gt=0, description="Seconds between two looks at these keys.")
    jwt_issuer: str | None = Field(None, description="Whose tokens are taken: their `iss`. Needed with a JWKS.")
    jwt_audience: str | None = Field(None, description="For whom they have to be: their `aud`. Needed with a JWKS.")
    jwt_account_claim: str = Field("sub", min_length=1, description="The claim that is the account's id.")
    jwt_leeway_s: float = Field(30.0, ge=0, le=300, description="How far the issuer's clock may be off, in seconds.")
    recommender_secret: SecretStr | None = Field(
        None,
        description="What the API and the worker prove themselves to the recommender with; needed where it listens "
        "elsewhere than on this machine.",
    )
    rate_limit_address: str | None = Field(
        None,
        pattern=_RATE,
        description="Requests that one address may make, as 100/second (minute, hour, day); no limit where not set. "
        "Each process counts for itself.",
    )
    rate_limit_caller: str | None = Field(
        None,
        pattern=_RATE,
        description="The same for one key or account; each interaction of a request counts.",
    )
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode] = Field(
        (), description="Comma-separated origins whose pages may ask from a browser; none by default."
    )
    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="Largest request body in bytes; 413 beyond.")
    max_ndjson_bytes: int = Field(
        8 * 1024 * 1024,
        ge=1024,
        description="The same of lines of JSON (application/x-ndjson). Both hold for a body as it comes, and "
        "for what is unpacked of it.",
    )
    requests_at_once: int = Field(
        1_000,
        ge=1,
        description="Requests that an API process has under way at once, writes and reads each; 503 beyond.",
    )
    bytes_at_once: int = Field(
        2 * 1024 * 1024,
        ge=1024,
        description="Bytes of the bodies of these; 503 beyond. Long bodies take long: this bounds the wait.",
    )
    ndjson_bytes_at_once: int = Field(
        16 * 1024 * 1024,
        ge=1024,
        description="The same of lines of JSON, which have room of their own.",
    )
    max_header_bytes: int = Field(
        16 * 1024, ge=1024, description="Largest request line and headers together, in bytes; 431 beyond."
    )
    header_timeout_s: float = Field(
        10.0, gt=0, description="Seconds in which the headers of a request have to come; 408 then."
    )
    request_timeout_s: float = Field(
        60.0, gt=0, description="Seconds in which all of a request has to come, and its answer has to be taken."
    )

    @model_validator(mode="after")
    def _tokens_are_all_told(self) -> Self:
        if self.jwks_url is None and self.jwks_file is None:
            return self
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("FOOTFALL_JWKS_URL and FOOTFALL_JWKS_FILE: set one of them")
        if self.jwt_issuer is None or self.jwt_audience is None:
            raise ValueError("with a JWKS, FOOTFALL_JWT_ISSUER and FOOTFALL_JWT_AUDIENCE have to be set too")
        if self.jwks_url is not None:
            _insist_on_https(self.jwks_url.get_secret_value())
        return self

    @property
    def takes_tokens(self) -> bool:
        return self.jwks_url is not None or self.jwks_file is not None


def _insist_on_https(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    raise ValueError("FOOTFALL_JWKS_URL: https, as whoever can change the keys on their way signs for every account")
