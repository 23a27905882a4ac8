"""`weekbot doctor`: checks what a bot needs, beside one that may be running, and changes nothing."""
