"""What secdaemon remembers: the transition table and the SQLite store."""
