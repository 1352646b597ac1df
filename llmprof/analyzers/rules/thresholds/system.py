"""From where on is the machine to blame? Limits of the rules on hardware, and on the run as a whole."""

from __future__ import annotations
