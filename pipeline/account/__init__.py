"""What is told about a run: manifest, cards, report."""
