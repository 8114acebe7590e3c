"""liftwerk: a closed-loop learning engine for marketing."""

__version__ = "0.1.0"
