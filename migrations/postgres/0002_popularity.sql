-- Popularity: one row a product for all time, one row a product and UTC day for windows.
-- Scores are whole millionths, so that sums are exact whatever their order.

CREATE TABLE product_popularity (
    product_id     text COLLATE "C" PRIMARY KEY,
    score          bigint NOT NULL,
    view_count     bigint NOT NULL,
    purchase_count bigint NOT NULL,
    favorite_count bigint NOT NULL,
    cart_count     bigint NOT NULL,
    review_count   bigint NOT NULL,
    date_updated   timestamptz NOT NULL
);
CREATE INDEX product_popularity_top ON product_popularity (score DESC, product_id);

CREATE TABLE product_popularity_daily (
    day            date NOT NULL,
    product_id     text COLLATE "C" NOT NULL,
    score          bigint NOT NULL,
    view_count     bigint NOT NULL,
    purchase_count bigint NOT NULL,
    favorite_count bigint NOT NULL,
    cart_count     bigint NOT NULL,
    review_count   bigint NOT NULL,
    date_updated   timestamptz NOT NULL,
    PRIMARY KEY (day, product_id)
) WITH (fillfactor = 70);  -- no index on what changes: updates stay on their page
