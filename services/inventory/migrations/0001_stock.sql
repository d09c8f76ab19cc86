-- Signed numbers, so that a change may be negative on its way; that a sum never is, the CHECK sees to.
CREATE TABLE IF NOT EXISTS stock (
    product_id BINARY(16)      NOT NULL PRIMARY KEY,
    on_hand    BIGINT          NOT NULL,
    reserved   BIGINT          NOT NULL,
    revision   BIGINT UNSIGNED NOT NULL,
    CONSTRAINT stock_never_below_zero CHECK (on_hand >= 0 AND reserved >= 0),
    CONSTRAINT stock_never_oversold CHECK (reserved <= on_hand)
);

-- What was decided for each order, for good: a row that is there keeps a late or repeated event from having an effect.
CREATE TABLE IF NOT EXISTS reservations (
    order_id    BINARY(16)  NOT NULL PRIMARY KEY,
    status      VARCHAR(16) NOT NULL,
    order_lines JSON        NOT NULL,
    KEY reservations_by_status (status),
    CONSTRAINT reservations_status CHECK (status IN ('reserved', 'rejected', 'released', 'dispatched'))
);
