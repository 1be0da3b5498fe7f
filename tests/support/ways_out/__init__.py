"""What a hostile agent tries in order to leave its box: run in the box as the agent, with nothing but the standard library.

The parts make one program for `python3 -c`. argv: JSON with what there is to reach, see `base.BOX`.
"""

import re
from pathlib import Path

from tests.support.ways_out import by_kernel, by_network, by_others, by_proxy  # noqa: F401 - they fill WAYS
from tests.support.ways_out.base import WAYS

__all__ = ["PROGRAM", "WAYS"]
_OWN_IMPORT = re.compile(r"^from tests\.[^\n]* import (\([^)]*\)|[^\n]*)\n", re.MULTILINE)
_PARTS = ("base", "by_network", "by_others", "by_kernel", "by_proxy", "run")
PROGRAM = "\n".join(_OWN_IMPORT.sub("", Path(__file__).with_name(f"{part}.py").read_text()) for part in _PARTS)
"""All parts as one text, in which they need not be imported."""
