"""The script modules that components share.

A component passes ``KIT`` as NiceGUI's ``esm`` and imports a module as ``wireside-kit/NAME.js``.
"""

from pathlib import Path

KIT = {"wireside-kit": str(Path(__file__).parent / "modules")}
