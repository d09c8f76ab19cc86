"""What a cold start waits for."""

import subprocess
import sys

from localcloud.home import REPOSITORY, child_environment

COUNT = """
import gc
begun = []
gc.callbacks.append(lambda phase, _: begun.append(phase))
import orders.api
print(len(begun) // 2)
"""


def test_a_function_is_imported_without_looking_for_garbage_all_the_time() -> None:
    """Python by itself does so fifty times."""
    path = f"{REPOSITORY / 'layers'}:{REPOSITORY / 'services'}"
    environment = child_environment(PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
    counted = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True)
    assert int(counted.stdout) < 10
