"""What is known of an entity as of a time."""
