"""Which identifiers are one customer, since when, and known since when."""
