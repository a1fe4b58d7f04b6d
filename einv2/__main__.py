import sys

from .commands.cli import main
from .models.acceleration import keep_memory

keep_memory()
sys.exit(main())
