"""Every place where something is kept is named in docs/erasure.md, so that none is forgotten by an erasure."""

import re
from pathlib import Path

from store import signals_redis
from store.postgres import Pool

ROOT = Path(__file__).parents[2]
ERASED, KEPT = (ROOT / "docs" / "erasure.md").read_text().split("| what stays |")
COLUMNS_OF_ACCOUNTS = """
    SELECT DISTINCT table_name::text, column_name::text FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name ~ 'account'
"""
TABLES = """
    SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""


def named(text: str) -> set[str]:
    """What stands in the first column of a table of the page, as code."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


async def test_every_table_is_erased_or_has_nobody_in_it(pool: Pool) -> None:
    tables = {row["relname"] for row in await pool.fetch(TABLES)}
    assert len(tables) > 30
    assert tables - named(ERASED) - named(KEPT) == set()


async def test_whatever_has_an_account_in_a_column_is_erased(pool: Pool) -> None:
    """But for counts of accounts."""
    found = {tuple(row) for row in await pool.fetch(COLUMNS_OF_ACCOUNTS)}
    partitions = {row["name"] for row in await pool.fetch("SELECT inhrelid::regclass::text AS name FROM pg_inherits")}
    tables = {table for table, _ in found} - partitions - {"experiment_day"}
    assert "experiment_account" in tables
    assert tables - named(ERASED) == set()


def test_every_table_of_the_cluster_and_every_key_of_redis_is_erased() -> None:
    migrations = "".join(file.read_text() for file in (ROOT / "migrations" / "cql").glob("*.cql"))
    tables = set(re.findall(r"CREATE TABLE IF NOT EXISTS \{keyspace\}\.(\w+)", migrations))
    assert tables - {"schema_migration"} <= named(ERASED)
    assert set(signals_redis._PREFIXES.values()) <= named(ERASED)
