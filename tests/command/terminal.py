#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Are secrets asked on the terminal without echo, and is destroying confirmed there?

terminal.py BIN: runs kfe on a pseudo-terminal of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

from fresh_token import fresh_token
from pseudo_terminal import LIMIT, check, on_terminal

KFE = os.path.join(sys.argv[1], "kfe")


def keys(*args):
    return subprocess.run([KFE, "keys", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT)


def destroying(folder):
    conf = os.path.join(folder, "kfe.conf")
    with open(conf, "w") as f:
        f.write("encryption.keyprovider.class=file\n"
                f"encryption.keyprovider.file.path={folder}/keys.json\n")
    check(keys("create", "orders", "-F", conf).returncode == 0, "create")
    args = [KFE, "keys", "destroy", "orders@1", "-F", conf]
    for answer in (b"no\n", b"y\n", b"\n", b"yesno\n", b"yes, really\n"):
        code, shown = on_terminal(args, [(b"Type yes:", answer, False)])
        check(code == 1 and b"not confirmed" in shown, "destroyed without a yes", shown)
    check(b"destroyed" not in keys("list", "-F", conf).stdout, "destroyed all the same")
    code, shown = on_terminal(args, [(b"Type yes:", b"yes\n", False)])
    check(code == 0 and b"orders@1 destroyed" in shown, "a yes does not destroy", shown)


def asking_pin(folder):
    args = [KFE, "keys", "create", "orders", "-X", "encryption.keyprovider.class=pkcs11", "-X",
            f"encryption.keyprovider.pkcs11.uri={fresh_token(folder)}"]
    code, shown = on_terminal(args, [(b"PIN (", b"00000000\n", True)])
    check(code == 1 and b"KFE_E_CREDENTIALS" in shown, "a wrong PIN is not refused", shown)
    check(b"00000000" not in shown, "the PIN is shown", shown)
    code, shown = on_terminal(args, [(b"PIN (", b"135\x1c", True)])
    check(code == -signal.SIGQUIT, "^\\ does not end it", shown)
    for _ in range(20):  # right behind the line, when it is read already or not
        code, shown = on_terminal(args, [(b"PIN (", b"00000000\n\x1c", True)])
        check(code == -signal.SIGQUIT, "^\\ behind the line does not end it", shown)
    code, shown = on_terminal(args, [(b"PIN (", b"135\x03", True)])
    check(code == -signal.SIGINT and b"active" not in shown, "^C does not end it", shown)
    code, shown = on_terminal(args, [(b"PIN (", b"13572468\n", True)])
    check(code == 0 and b"orders@1 active" in shown, "the right PIN does not do", shown)
    check(b"13572468" not in shown, "the PIN is shown", shown)


def main():
    os.environ.pop("KFE_CONFIG", None)
    os.umask(0o077)
    folder = tempfile.mkdtemp(prefix="kfe-command.")
    try:
        destroying(folder)
        if sys.argv[2:] == ["pkcs11"]:
            asking_pin(folder)
    finally:
        shutil.rmtree(folder)


main()
