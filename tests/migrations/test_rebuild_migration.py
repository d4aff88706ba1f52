"""What totals have from days that are gone already is taken over when the rebuild's tables come."""

import asyncpg

from migrations.runner import load_migrations, migrate_postgres


async def test_totals_of_before_are_forgotten_days_and_daily_rows(empty_database: str) -> None:
    every = load_migrations("postgres")
    before = [one for one in every if one.name < "0008"]
    await migrate_postgres(empty_database, before)
    connection = await asyncpg.connect(empty_database)
    try:
        await connection.execute(
            "INSERT INTO product_popularity VALUES "
            "('cup', 9, 8, 7, 6, 5, 4, now()), ('pot', 3, 1, 0, 0, 0, 0, now()); "
            "INSERT INTO product_popularity_daily VALUES ('today', 'cup', 1, 1, 1, 1, 1, 1, now()), "
            "('yesterday', 'cup', 2, 1, 0, 1, 1, 1, now()), ('today', 'pot', 3, 1, 0, 0, 0, 0, now())"
        )
        assert "0008_rebuild.sql" in await migrate_postgres(empty_database)
        forgotten = await connection.fetch("SELECT * FROM product_popularity_forgotten")
        assert [tuple(row) for row in forgotten] == [("cup", 6, 6, 6, 4, 3, 2)]
        state = await connection.fetch("SELECT rebuild_id, noting FROM popularity_state")
        assert [tuple(row) for row in state] == [(None, False)]
    finally:
        await connection.close()
