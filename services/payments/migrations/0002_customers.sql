-- All that there is of a customer is asked for when they are to be forgotten.
CREATE INDEX payments_of_customer ON payments (customer_id);
