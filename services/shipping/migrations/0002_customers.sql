-- All that there is of a customer is asked for when they are to be forgotten.
CREATE INDEX shipments_of_customer ON shipments (customer_id);
