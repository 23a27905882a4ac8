"""`make screenshots`: takes pictures of the real bot's messages at two widths."""
