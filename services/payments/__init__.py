"""Payments: charges an order once it is placed and its stock is held, and gives back what was captured."""
