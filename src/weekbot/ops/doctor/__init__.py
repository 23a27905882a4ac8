"""`weekbot doctor`: checks what a bot needs, also beside a running one, and changes nothing."""
