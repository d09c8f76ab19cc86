-- A row is made by whichever comes first, an order's confirmation or the request to cancel it; of the latter there is
-- nothing to pack. Lines and address are written with their shipment and never without it: documents of its row.
CREATE TABLE IF NOT EXISTS shipments (
    order_id         BINARY(16)     NOT NULL PRIMARY KEY,
    correlation_id   VARCHAR(100)   NOT NULL,
    customer_id      VARBINARY(128) NOT NULL, -- compared byte by byte: nobody is somebody else by case or accent
    status           VARCHAR(16)    NOT NULL,
    order_lines      JSON           NULL,
    shipping_address JSON           NULL,
    tracking_number  VARCHAR(32)    NULL,
    UNIQUE KEY shipments_tracking_number (tracking_number),
    CONSTRAINT shipments_status CHECK (status IN ('preparing', 'dispatched', 'delivered', 'cancelled')),
    CONSTRAINT shipments_tracked CHECK ((status IN ('dispatched', 'delivered')) = (tracking_number IS NOT NULL)),
    CONSTRAINT shipments_packed CHECK (
        status = 'cancelled' OR (order_lines IS NOT NULL AND shipping_address IS NOT NULL)
    )
);
