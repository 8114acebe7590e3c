"""Every number that counts, defined once."""
