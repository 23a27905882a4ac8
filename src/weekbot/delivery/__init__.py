"""From a due slot to a post: plan, claim, send, record."""
