"""Buttons, selects and forms, routed by their custom ids."""
