/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of qemu-aarch64 (API version 1): what a program executes between two marks, which are
 * hints that do nothing. One line for each stretch goes to the file that the argument out=PATH
 * names: executed instructions; those of them that take a vector pipe, an AES round with its column
 * mix as one; and a hash of every address that was executed, read or written. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* From QEMU's documentation of the interface; its header is in no package. */
typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed)(unsigned cpu, void *data);
typedef void (*accessed)(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data);
typedef void (*ended)(qemu_plugin_id_t id, void *data);
enum { NO_REGISTERS = 0, READS_AND_WRITES = 3 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated function);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed function,
                                                   int registers, void *data);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, accessed function,
                                             int registers, int which, void *data);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ended function, void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);

#define EXPORT __attribute__((visibility("default")))
EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int n, char **args);
int qemu_plugin_version = 1;

/* The marks of tests/arm/spans.c. */
enum { HINT = (int)0xd503201f, HINT_BEGIN = HINT | 100 << 5, HINT_END = HINT | 101 << 5 };

static FILE *out;
static bool counting;
static uint64_t instructions, vector, hash;

static void stir(uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
}

static void begin(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    counting = true;
    instructions = vector = hash = 0;
}

static void end(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    counting = false;
    fprintf(out, "%" PRIu64 " %" PRIu64 " %016" PRIx64 "\n", instructions, vector, hash);
}

static void on_scalar(unsigned cpu, void *address)
{
    (void)cpu;
    if (!counting)
        return;
    instructions++;
    stir((uint64_t)(uintptr_t)address);
}

static void on_vector(unsigned cpu, void *address)
{
    on_scalar(cpu, address);
    vector += counting;
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    (void)cpu, (void)data;
    if (counting)
        stir(address << 1 | qemu_plugin_mem_is_store(info));
}

/* Arm's manual, C4.1: bits 25 to 28 are x111 in what computes on vectors. AESMC behind AESE on its
 * register is one operation with it. */
static bool takes_vector_pipe(uint32_t word, uint32_t before)
{
    bool fused = (word & 0xfffffc00) == 0x4e286800 && (before & 0xfffffc00) == 0x4e284800 &&
                 (word & 31) == (before & 31) && (word >> 5 & 31) == (word & 31);
    return (word >> 25 & 7) == 7 && !fused;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    uint32_t word, before = 0;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++, before = word) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof(word));
        executed function = word == (uint32_t)HINT_BEGIN      ? begin
                            : word == (uint32_t)HINT_END      ? end
                            : takes_vector_pipe(word, before) ? on_vector
                                                              : on_scalar;
        qemu_plugin_register_vcpu_insn_exec_cb(insn, function, NO_REGISTERS,
                                               (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, NO_REGISTERS, READS_AND_WRITES, NULL);
    }
}

static void on_exit(qemu_plugin_id_t id, void *data)
{
    (void)id, (void)data;
    fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int n, char **args)
{
    (void)info;
    if (n != 1 || strncmp(args[0], "out=", 4) != 0 || (out = fopen(args[0] + 4, "w")) == NULL)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit, NULL);
    return 0;
}
