"""Shipping: prepares what was confirmed, hands it to a carrier, or is told in time not to."""
