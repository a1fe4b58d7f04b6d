import sys

from .cli import main
from .fast import keep_memory

keep_memory()
sys.exit(main())
