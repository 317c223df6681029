"""`bifrost-etl record`: what a gateway answers, as a file that the simulator can serve again."""
