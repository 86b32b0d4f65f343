"""What a stream costs, beside the floor and the model itself: `.venv/bin/python bench/stream.py [--quick]`.

What is measured, and how, is in bench/stream_measure.py.
"""

import sys
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.stream_measure import main

if __name__ == "__main__":
    main()
