"""What to do for one customer, now, and what it would have earned."""
