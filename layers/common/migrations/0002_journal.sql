-- In the request-driven design, what a service has still to do about events of its own.

CREATE TABLE IF NOT EXISTS journal (
    event_id     BINARY(16)        NOT NULL PRIMARY KEY,
    detail_type  VARCHAR(64)       NOT NULL,
    detail       MEDIUMTEXT        NOT NULL,
    created_at   DATETIME(6)       NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    available_at DATETIME(6)       NOT NULL DEFAULT (NOW(6) + INTERVAL 30 SECOND),
    attempts     SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    last_error   VARCHAR(255)      NULL,
    parked_at    DATETIME(6)       NULL,
    KEY journal_due (parked_at, available_at)
);
