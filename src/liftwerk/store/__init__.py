"""Where it rests: all state the project keeps, and the catalogue of it."""
