"""One file a kind; the list is in the folder above."""
