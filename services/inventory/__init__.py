"""Inventory: how much there is of each product, and which order holds how much of it."""
