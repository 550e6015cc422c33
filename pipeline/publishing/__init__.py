"""What strangers get to see: staged, checked byte by byte, and sent once."""
