"""``python -m liftwerk.cli``."""

from liftwerk.cli.main import main

main()
