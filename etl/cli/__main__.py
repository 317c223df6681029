"""`python -m etl.cli`: the same as `bifrost-etl`, for where the script is not on the path."""

import sys

from etl.cli import main

sys.exit(main())
