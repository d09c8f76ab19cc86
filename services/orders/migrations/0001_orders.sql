-- Lines, address and timeline are read and written with their order and never without it: documents of its row.

CREATE TABLE IF NOT EXISTS orders (
    order_id         BINARY(16)      NOT NULL PRIMARY KEY,
    customer_id      VARBINARY(128)  NOT NULL, -- compared byte by byte: nobody is somebody else by case or accent
    status           VARCHAR(16)     NOT NULL,
    order_lines      JSON            NOT NULL,
    total            BIGINT UNSIGNED NOT NULL,
    shipping_address JSON            NOT NULL,
    timeline         JSON            NOT NULL,
    refunded         BIGINT UNSIGNED NOT NULL DEFAULT 0,
    correlation_id   VARCHAR(100)    NOT NULL,
    due_at           DATETIME(6)     NULL, -- when to stop waiting for others: to expire, or to ask shipping again
    KEY orders_of_customer (customer_id, order_id),
    KEY orders_due (due_at),
    CONSTRAINT orders_status CHECK (status IN (
        'placed', 'reserved', 'confirmed', 'rejected',
        'shipped', 'delivered', 'cancelling', 'cancelled', 'expired'
    ))
);

-- Orders' own copy of what catalog announces.
CREATE TABLE IF NOT EXISTS products (
    product_id BINARY(16)      NOT NULL PRIMARY KEY,
    name       VARCHAR(100)    NOT NULL,
    price      BIGINT UNSIGNED NOT NULL,
    retired    BOOLEAN         NOT NULL,
    revision   BIGINT UNSIGNED NOT NULL
);
