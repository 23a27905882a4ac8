"""`weekbot demo`: the whole bot in a browser, on a simulated Discord and a fast clock."""
