"""From a due slot to a recorded post: claims, attempts and retries."""
