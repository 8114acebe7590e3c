"""What happened: the log of events, admitted, deduplicated and read for a purpose."""
