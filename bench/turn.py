"""What a turn costs, beside the floor and a plain app under the same load: `.venv/bin/python bench/turn.py [--quick]`.

What is measured, and how, is in bench/measure.py.
"""

import sys
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import main

if __name__ == "__main__":
    main()
