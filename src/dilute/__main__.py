"""`python -m dilute`."""

import sys

from dilute.cli import main

sys.exit(main())
