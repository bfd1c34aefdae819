# SPDX-License-Identifier: Apache-2.0
"""Ends the test where `cryptography` is missing: with exit code 77, or 1 with KFE_NO_SKIP=1."""
import os
import sys

try:
    import cryptography  # noqa: F401
except ImportError:
    print("skipped: no python3-cryptography here (./dev deps installs it)")
    sys.exit(1 if os.environ.get("KFE_NO_SKIP") == "1" else 77)
