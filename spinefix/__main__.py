"""Run the command line as ``python -m spinefix``."""

from spinefix.cli.app import main

if __name__ == "__main__":
    main()
