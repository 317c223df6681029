from etl.simulator.cli import main

main()
