"""One kind of policy a file: from what models expect to action probabilities."""
