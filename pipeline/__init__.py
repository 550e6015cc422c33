"""What each step does: typed input, typed output and files; no SQLite, no scheduling."""
