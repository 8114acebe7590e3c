"""What is likely: training, a file per kind, explanation."""
