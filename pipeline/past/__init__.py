"""What earlier runs of the project leave to this one, and where each example came from."""
