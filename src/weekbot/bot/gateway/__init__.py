"""The gateway: the client, its connections and its cache."""
