"""`weekbot demo`: the whole bot on a simulated Discord, in a browser. Only Discord and the clock are stand-ins."""
