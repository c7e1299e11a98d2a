"""``python -m layercli``."""

from layercli.cli import main

main()
