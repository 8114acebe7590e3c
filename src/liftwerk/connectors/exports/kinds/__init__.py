"""The exports, one platform a file."""
