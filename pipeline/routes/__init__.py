"""URL to code: the routes of a checkout, and the handler that answers a request."""
