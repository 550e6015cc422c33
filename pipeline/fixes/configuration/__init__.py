"""Configuration files: what is insecure in one, and how it is mended."""
