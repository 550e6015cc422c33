"""GitHub Actions, polled: which runs are new, which are trusted, and their artifacts."""
