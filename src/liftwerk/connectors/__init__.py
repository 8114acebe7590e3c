"""Ways in and out: files and formats become events."""
