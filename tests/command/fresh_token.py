# SPDX-License-Identifier: Apache-2.0
"""A fresh SoftHSM token `test`, in a folder."""

import glob
import os
import subprocess
import sys

PIN = "13572468"


def lacks(what):
    """Ends the test: it is not here, though `./dev deps` installs it."""
    print(f"skipped: no {what} here (./dev deps installs it)")
    sys.exit(1 if os.environ.get("KFE_NO_SKIP") == "1" else 77)


def fresh_token(folder):
    """The URI of the token."""
    modules = glob.glob("/usr/lib/softhsm/libsofthsm2.so") + glob.glob("/usr/lib/*/softhsm/libsofthsm2.so")
    if not modules:
        lacks("SoftHSM")
    os.mkdir(os.path.join(folder, "tokens"))
    os.environ["SOFTHSM2_CONF"] = os.path.join(folder, "softhsm2.conf")
    with open(os.environ["SOFTHSM2_CONF"], "w", encoding="utf-8") as f:
        f.write(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "test", "--so-pin",
                    "87654321", "--pin", PIN], check=True, stdout=subprocess.DEVNULL)
    return f"pkcs11:token=test?module-path={modules[0]}"
