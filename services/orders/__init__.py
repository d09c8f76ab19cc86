"""Orders: takes them, and alone decides their status as the other services report."""
