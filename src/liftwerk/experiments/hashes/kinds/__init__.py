"""One file a hash; `liftwerk.experiments.hashes` has the list."""
