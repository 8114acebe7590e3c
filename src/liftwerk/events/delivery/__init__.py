"""What an event carries for its delivery alone: it leaves the event before anything is kept."""
