"""`python -m aegis`: the command line without its script."""

from __future__ import annotations

import sys

from aegis.cli.main import main

sys.exit(main())
