"""`footfall migrate`: whatever the stores and Temporal have to know before processes start."""

from runtime.connections import connected_client, migrate_stores, postgres_url, register_search_attributes
from runtime.settings import Settings


async def migrate_all(settings: Settings) -> list[str]:
    """What was missing and is there now. Without an address of Temporal only the stores; workers do the rest."""
    applied = await migrate_stores(settings, postgres_url(settings))
    if settings.temporal_address is not None:
        registered = await register_search_attributes(await connected_client(settings))
        applied += [f"search attribute {name}" for name in registered]
    return applied
