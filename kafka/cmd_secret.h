/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KFE_CMD_SECRET_H
#define KFE_CMD_SECRET_H

/* Asks for PINs and passphrases on the terminal. */

#include <kfe/config.h>

/* A kfe_secret_cb: prompts on /dev/tty and reads one line without echo. -1: no terminal, the
 * line is too long, or asked to stop. */
kfe_secret_cb kfe_cmd_secret_ask;

/* Asks a question on /dev/tty. True only for the answer "yes". */
bool kfe_cmd_confirm(const char *question);

#endif
