"""`python -m charter` is the `charter` command."""

import sys

from charter.launch import main

if __name__ == "__main__":
    sys.exit(main())
