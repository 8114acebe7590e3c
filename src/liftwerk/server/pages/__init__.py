"""The pages, one file each: read the source, lay out what it said, render a template."""
