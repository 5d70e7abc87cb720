"""``python -m audiosim`` is ``audiosim``."""

from .cli import main

if __name__ == "__main__":
    main()
