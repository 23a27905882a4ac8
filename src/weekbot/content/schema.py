"""The JSON Schema of front matter, from the models that validate it."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from weekbot.content.model import ConceptFacts, FrameworkFacts


def front_matter_schema() -> dict[str, Any]:
    adapter: TypeAdapter[ConceptFacts | FrameworkFacts] = TypeAdapter(
        Annotated[ConceptFacts | FrameworkFacts, Field(discriminator="kind")]
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A weekbot topic's front matter",
        **adapter.json_schema(),
    }
