"""The connections to the gateway, and what arrives through them."""
