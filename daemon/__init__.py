"""The light resident part: the loop, the inbox, worker supervision, the command line, views."""
