"""Where in the user's source something stands, and whose code raised what."""
