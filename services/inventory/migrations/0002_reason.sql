-- Why an order could have nothing, for whoever asks again. Of orders that were decided before, it is not known any more.
ALTER TABLE reservations ADD COLUMN reason VARCHAR(200) NULL;
