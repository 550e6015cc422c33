"""Public vulnerability fixes as Stage 1 examples."""
