import sys

from etl.simulator.cli import main

sys.exit(main())
