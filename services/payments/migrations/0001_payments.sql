-- A row is made by whichever event of an order comes first; what that event does not know is empty or NULL until then.
-- Amounts are in minor units. `due_at` is when somebody else is to finish what is begun with the provider, NULL where
-- nothing is: an attempt, the refund of an order that ended, a refund.

CREATE TABLE IF NOT EXISTS payments (
    order_id       BINARY(16)      NOT NULL PRIMARY KEY,
    correlation_id VARCHAR(100)    NOT NULL,
    customer_id    VARBINARY(128)  NULL, -- compared byte by byte: nobody is somebody else by case or accent
    amount         BIGINT UNSIGNED NOT NULL DEFAULT 0,
    token          VARCHAR(64)     NOT NULL DEFAULT '',
    reserved       BOOLEAN         NOT NULL DEFAULT FALSE,
    ended          BOOLEAN         NOT NULL DEFAULT FALSE,
    state          VARCHAR(16)     NOT NULL DEFAULT 'noted',
    captured       BIGINT UNSIGNED NOT NULL DEFAULT 0,
    refunded       BIGINT UNSIGNED NOT NULL DEFAULT 0,
    due_at         DATETIME(6)     NULL,
    KEY payments_due (due_at),
    CONSTRAINT payments_state CHECK (state IN ('noted', 'attempted', 'captured', 'declined')),
    CONSTRAINT payments_attempted CHECK (state = 'noted' OR (reserved AND customer_id IS NOT NULL AND amount > 0)),
    CONSTRAINT payments_captured CHECK (captured = IF(state = 'captured', amount, 0)),
    CONSTRAINT payments_refunded CHECK (refunded <= captured)
);

CREATE TABLE IF NOT EXISTS refunds (
    refund_id BINARY(16)      NOT NULL PRIMARY KEY,
    order_id  BINARY(16)      NOT NULL,
    amount    BIGINT UNSIGNED NOT NULL,
    asked     BINARY(32)      NULL,
    status    VARCHAR(16)     NOT NULL DEFAULT 'pending',
    due_at    DATETIME(6)     NULL,
    KEY refunds_due (due_at),
    KEY refunds_of_payment (order_id),
    CONSTRAINT refunds_amount CHECK (amount > 0),
    CONSTRAINT refunds_status CHECK (status IN ('pending', 'done'))
);

-- The sandbox provider's own books. A charge is its own charge_key; a refund has that of the charge it gives back.
CREATE TABLE IF NOT EXISTS sandbox_ledger (
    entry_key  BINARY(16)      NOT NULL PRIMARY KEY,
    charge_key BINARY(16)      NOT NULL,
    amount     BIGINT UNSIGNED NOT NULL,
    outcome    VARCHAR(16)     NOT NULL,
    reason     VARCHAR(100)    NULL,
    asked      INT UNSIGNED    NOT NULL DEFAULT 1,
    entered_at DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY ledger_of_charge (charge_key),
    CONSTRAINT ledger_outcome CHECK (outcome IN ('failed', 'captured', 'declined', 'refunded'))
);
