"""What each step does: typed input, typed output and files; no state.db, no scheduling."""
