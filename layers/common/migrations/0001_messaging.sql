-- What every service's schema has: events on their way out, events that came in, answers to be repeated.

CREATE TABLE IF NOT EXISTS outbox (
    event_id     BINARY(16)        NOT NULL PRIMARY KEY,
    detail_type  VARCHAR(64)       NOT NULL,
    detail       MEDIUMTEXT        NOT NULL,
    created_at   DATETIME(6)       NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    available_at DATETIME(6)       NOT NULL DEFAULT (NOW(6) + INTERVAL 10 SECOND),
    attempts     SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    last_error   VARCHAR(255)      NULL,
    parked_at    DATETIME(6)       NULL,
    KEY outbox_due (parked_at, available_at)
);

CREATE TABLE IF NOT EXISTS inbox (
    consumer    VARCHAR(64) NOT NULL,
    event_id    BINARY(16)  NOT NULL,
    received_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (consumer, event_id),
    KEY inbox_received (received_at)
);

CREATE TABLE IF NOT EXISTS idempotency_keys (
    request_key BINARY(32)  NOT NULL PRIMARY KEY,
    body_hash   BINARY(32)  NOT NULL,
    status      SMALLINT    NOT NULL,
    answer      BLOB        NOT NULL,
    created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY idempotency_created (created_at)
);
