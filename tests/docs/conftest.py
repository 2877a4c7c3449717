"""The pages whose blocks run, found where they are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
