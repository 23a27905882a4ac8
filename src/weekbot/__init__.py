"""weekbot posts one Python topic a week to Discord channels."""

from importlib.metadata import version

__version__ = version("weekbot")
