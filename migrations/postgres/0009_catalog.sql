-- The catalog: what the shop says about items and accounts. Nothing refers to it and it refers to nothing: an
-- interaction with an item that nobody has described counts as any other.

CREATE TABLE item (
    item_id     text COLLATE "C" PRIMARY KEY,
    title       text NOT NULL,
    description text,
    category    text COLLATE "C",
    subcategory text COLLATE "C",
    tags        text[] NOT NULL,
    price       numeric,
    currency    text,
    created_at  timestamptz NOT NULL,
    is_active   boolean NOT NULL,
    in_stock    boolean NOT NULL,
    changed_at  timestamptz NOT NULL,  -- by catalog_clock, so in the order of the commits
    deleted_at  timestamptz,           -- then is_active is false as well
    CHECK (deleted_at IS NULL OR NOT is_active)
);
CREATE INDEX item_changed ON item (changed_at, item_id);
CREATE INDEX item_category ON item (category, changed_at, item_id);

-- One row, always: the moment of the latest change to items. Whoever changes items moves it first and holds the row's
-- lock to the commit. So who has seen one change has seen all before it, and can ask for those behind it.
CREATE TABLE catalog_clock (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    moment timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO catalog_clock DEFAULT VALUES;

CREATE TABLE account_profile (
    account_id           text COLLATE "C" PRIMARY KEY,
    preferred_categories text[] NOT NULL,
    language             text,
    country              text,
    created_at           timestamptz NOT NULL,
    changed_at           timestamptz NOT NULL,
    deleted_at           timestamptz
);
