-- A product is never deleted: orders and readers may still ask for it when it is retired.

CREATE TABLE IF NOT EXISTS products (
    product_id  BINARY(16)      NOT NULL PRIMARY KEY,
    name        VARCHAR(100)    NOT NULL,
    description VARCHAR(2000)   NOT NULL,
    price       BIGINT UNSIGNED NOT NULL,
    retired     BOOLEAN         NOT NULL,
    revision    BIGINT UNSIGNED NOT NULL,
    CONSTRAINT products_price CHECK (price > 0),
    CONSTRAINT products_revision CHECK (revision > 0)
);
