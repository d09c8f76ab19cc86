-- To whom an order's mails go, made by whichever event of the order comes first; `locale` is NULL until that is known,
-- `email` where nobody is to be told. Who is deleted takes their mails along.

CREATE TABLE IF NOT EXISTS recipients (
    order_id    BINARY(16)     NOT NULL PRIMARY KEY,
    customer_id VARBINARY(128) NULL,
    email       VARCHAR(320)   NULL,
    locale      CHAR(2)        NULL,
    created_at  DATETIME(6)    NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY recipients_created (created_at),
    KEY recipients_of_customer (customer_id),
    CONSTRAINT recipients_known CHECK ((locale IS NULL) = (customer_id IS NULL) AND (email IS NULL OR locale IS NOT NULL))
);

-- `news` is what is to be told, as JSON, and empty once it has been told or given up. `due_at` is when somebody may take
-- the mail to send it, NULL unless it is due.
CREATE TABLE IF NOT EXISTS mails (
    mail_id        BINARY(16)        NOT NULL PRIMARY KEY,
    order_id       BINARY(16)        NOT NULL,
    topic          VARCHAR(16)       NOT NULL,
    news           MEDIUMTEXT        NOT NULL,
    correlation_id VARCHAR(100)      NOT NULL,
    status         VARCHAR(16)       NOT NULL,
    attempts       SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    due_at         DATETIME(6)       NULL,
    created_at     DATETIME(6)       NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY mails_due (due_at),
    KEY mails_of_order (order_id),
    CONSTRAINT mails_status CHECK (status IN ('waiting', 'due', 'sent', 'given_up')),
    CONSTRAINT mails_due CHECK ((status = 'due') = (due_at IS NOT NULL)),
    CONSTRAINT mails_news CHECK ((status IN ('waiting', 'due')) = (news <> '')),
    CONSTRAINT mails_recipient FOREIGN KEY (order_id) REFERENCES recipients (order_id) ON DELETE CASCADE
);
