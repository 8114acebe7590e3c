"""One file a design, or several that are planned alike; the list is in the folder above."""
