"""A text as a QR code, for a phone to read from the screen.

segno draws it: plain Python, loaded when the first one is drawn (3 ms, 0.4 MiB).
"""

import importlib
import io

BORDER_MODULES = 4  # of light around it, without which readers do not find it


def qr_code(text: str) -> str:
    """An SVG element: dark on light on any page, and as large as CSS says."""
    segno = importlib.import_module("segno")
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn,
        kind="svg",
        border=BORDER_MODULES,
        light="#fff",
        svgclass="qr",
        lineclass=None,
        omitsize=True,
        xmldecl=False,
        svgns=False,
        nl=False,
    )
    return drawn.getvalue().decode()
