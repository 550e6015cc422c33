"""What was found and mended before: an index that can be made again at any time."""
