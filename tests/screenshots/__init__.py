"""`make screenshots`: pictures of what people see in Discord, at two widths, from the real bot."""
