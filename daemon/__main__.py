"""`python -m secdaemon.daemon`: the command line, for launchd and where no script is on PATH."""

import sys

from secdaemon.daemon.cli import main

sys.exit(main())
