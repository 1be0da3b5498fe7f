"""Values as bytes for files and sinks: whatever text they hold, writing them never fails."""

import json

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError


def to_json(value: BaseModel) -> bytes:
    """Return a value as one line of JSON in UTF-8, without a line break.

    What UTF-8 cannot hold becomes "?": half a surrogate pair, such as stands for a foreign byte in a file's name.
    """
    try:
        return value.model_dump_json().encode()
    except PydanticSerializationError:
        return json.dumps(value.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
