"""weekbot posts one Python topic a week to Discord channels."""


def __getattr__(name: str) -> str:
    """Look up `__version__` when it is used, because the library for that takes long to import."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("weekbot")
