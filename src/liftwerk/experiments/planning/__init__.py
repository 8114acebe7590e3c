"""Plan an experiment before it starts: one planner for every design."""
