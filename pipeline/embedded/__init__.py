"""The text the project carries itself: sample pairs, weakness notes, the tiny model recipe."""
