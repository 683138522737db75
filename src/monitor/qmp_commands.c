/* The commands of QMP. */
#include "monitor/monitor_internal.h"
#include "monitor/qmp.h"
#include "monitor/statistics.h"
#include "monitor/version.h"

#include <string.h>

static json_t *done(void)
{
    return json_object();
}

static json_t *cmd_capabilities(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *enable = json_object_get(arguments, "enable");
    if (enable && !json_is_array(enable)) {
        error_set(err, "Invalid parameter type for 'enable', expected: array");
        return NULL;
    }
    if (json_array_size(enable)) {
        const char *name = json_string_value(json_array_get(enable, 0));
        error_set(err, "Capability '%.100s' is not available", name ? name : "?");
        return NULL;
    }
    qmp->negotiated = true;
    return done();
}

static json_t *cmd_query_status(struct qmp *qmp, json_t *arguments, struct error *err)
{
    enum vm_state state = qmp->set->vm->state;
    return json_pack("{s:s,s:b,s:b}", "status", vm_state_name(state), "singlestep", 0, "running", state == VM_RUNNING);
}

static json_t *cmd_query_version(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", QMP_DIALECT_MICRO, "minor", QMP_DIALECT_MINOR, "major",
                     QMP_DIALECT_MAJOR, "package", QMP_PACKAGE);
}

static json_t *cmd_query_commands(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *list = json_array();
    for (const struct qmp_command *c = qmp_commands; c->name; c++)
        json_array_append_new(list, json_pack("{s:s}", "name", c->name));
    return list;
}

static json_t *cmd_query_name(struct qmp *qmp, json_t *arguments, struct error *err)
{
    const char *name = qmp->set->vm->options->name;
    return name ? json_pack("{s:s}", "name", name) : json_object();
}

static json_t *cmd_query_uuid(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return json_pack("{s:s}", "UUID", "00000000-0000-0000-0000-000000000000");
}

static json_t *cmd_query_kvm(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return json_pack("{s:b,s:b}", "enabled", 0, "present", 0);
}

static json_t *cmd_query_cpus_fast(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *list = json_array();
    struct vm *vm = qmp->set->vm;
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        json_array_append_new(list,
                              json_pack("{s:i,s:{s:i,s:i,s:i},s:s,s:i,s:s}", "thread-id", vm_vcpu_thread_id(vm, i),
                                        "props", "core-id", (int)i, "thread-id", 0, "socket-id", 0, "qom-path",
                                        "/machine/unattached/device[0]", "cpu-index", (int)i, "target", "i386"));
    return list;
}

static json_t *cmd_query_chardev(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < qmp->set->chardev_count; i++) {
        struct chardev *c = qmp->set->chardevs[i];
        json_array_append_new(list, json_pack("{s:b,s:s,s:s}", "frontend-open", chardev_has_user(c), "filename",
                                              chardev_description(c), "label", chardev_id(c)));
    }
    return list;
}

static json_t *cmd_stop(struct qmp *qmp, json_t *arguments, struct error *err)
{
    vm_stop(qmp->set->vm, VM_PAUSED);
    return done();
}

static json_t *cmd_cont(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return vm_cont(qmp->set->vm, err) ? done() : NULL;
}

static json_t *cmd_system_reset(struct qmp *qmp, json_t *arguments, struct error *err)
{
    vm_request_reset(qmp->set->vm, VM_CAUSE_HOST_QMP_RESET);
    return done();
}

static json_t *cmd_system_powerdown(struct qmp *qmp, json_t *arguments, struct error *err)
{
    vm_request_powerdown(qmp->set->vm);
    return done();
}

static json_t *cmd_quit(struct qmp *qmp, json_t *arguments, struct error *err)
{
    vm_request_shutdown(qmp->set->vm, VM_CAUSE_HOST_QMP_QUIT);
    return done();
}

static json_t *cmd_inject_nmi(struct qmp *qmp, json_t *arguments, struct error *err)
{
    vm_inject_nmi(qmp->set->vm);
    return done();
}

static bool get_cpu_index(struct qmp *qmp, json_t *arguments, unsigned *index, struct error *err)
{
    json_t *value = json_object_get(arguments, "cpu-index");
    json_int_t wanted = value ? json_integer_value(value) : 0;
    if (wanted < 0 || wanted >= (json_int_t)qmp->set->vm->vcpu_count)
        return error_set(err, "Parameter 'cpu-index' expects a CPU number");
    *index = (unsigned)wanted;
    return true;
}

/* Addresses and sizes are integers of up to 63 bits in JSON. */
static bool get_unsigned(json_t *arguments, const char *name, uint64_t *value, struct error *err)
{
    json_int_t number = json_integer_value(json_object_get(arguments, name));
    if (number < 0)
        return error_set(err, "Invalid parameter value for '%s': must not be negative", name);
    *value = (uint64_t)number;
    return true;
}

static json_t *save(struct qmp *qmp, json_t *arguments, bool is_virtual, struct error *err)
{
    uint64_t address = 0, size = 0;
    unsigned index = 0;
    const char *path = json_string_value(json_object_get(arguments, "filename"));
    struct vm *vm = qmp->set->vm;
    if (!get_unsigned(arguments, "val", &address, err) || !get_unsigned(arguments, "size", &size, err) ||
        !get_cpu_index(qmp, arguments, &index, err))
        return NULL;
    bool ok = is_virtual ? monitor_save_virtual(vm, index, address, size, path, err)
                         : monitor_save_physical(vm, address, size, path, err);
    return ok ? done() : NULL;
}

static json_t *cmd_pmemsave(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return save(qmp, arguments, false, err);
}

static json_t *cmd_memsave(struct qmp *qmp, json_t *arguments, struct error *err)
{
    return save(qmp, arguments, true, err);
}

static json_t *cmd_human_monitor_command(struct qmp *qmp, json_t *arguments, struct error *err)
{
    unsigned index;
    struct hmp hmp;
    struct text out, lines;
    if (!get_cpu_index(qmp, arguments, &index, err))
        return NULL;
    hmp_init(&hmp, qmp->set);
    text_init(&out);
    text_init(&lines);
    hmp_execute(&hmp, json_string_value(json_object_get(arguments, "command-line")), &out);
    hmp_add_carriage_returns(&lines, text_string(&out), out.length);
    json_t *result = json_stringn(text_string(&lines), lines.length);
    if (!result) { /* a command echoed something that is no UTF-8: show its ASCII part */
        for (size_t i = 0; i < lines.length; i++)
            if ((unsigned char)lines.data[i] >= 0x80)
                lines.data[i] = '?';
        result = json_stringn(text_string(&lines), lines.length);
    }
    text_finish(&out);
    text_finish(&lines);
    return result;
}

static json_t *cmd_query_stats(struct qmp *qmp, json_t *arguments, struct error *err)
{
    json_t *all = statistics_to_json(qmp->set->vm);
    if (!all)
        error_set(err, "Out of memory");
    return all;
}

static json_t *cmd_query_jit(struct qmp *qmp, json_t *arguments, struct error *err)
{
    struct text out;
    text_init(&out);
    statistics_print_translator(qmp->set->vm, false, &out);
    json_t *result = json_pack("{s:s}", "human-readable-text", text_string(&out));
    text_finish(&out);
    return result;
}

const struct qmp_command qmp_commands[] = {
    {"qmp_capabilities", {{"enable", '*', true}}, cmd_capabilities},
    {"query-status", {{0}}, cmd_query_status},
    {"query-version", {{0}}, cmd_query_version},
    {"query-commands", {{0}}, cmd_query_commands},
    {"query-name", {{0}}, cmd_query_name},
    {"query-uuid", {{0}}, cmd_query_uuid},
    {"query-kvm", {{0}}, cmd_query_kvm},
    {"query-cpus-fast", {{0}}, cmd_query_cpus_fast},
    {"query-chardev", {{0}}, cmd_query_chardev},
    {"query-block", {{0}}, qmp_query_block},
    {"query-blockstats", {{"query-nodes", 'b', true}}, qmp_query_blockstats},
    {"eject", {{"device", 's', true}, {"id", 's', true}, {"force", 'b', true}}, qmp_eject},
    {"blockdev-change-medium",
     {{"device", 's', true},
      {"id", 's', true},
      {"filename", 's', false},
      {"format", 's', true},
      {"force", 'b', true},
      {"read-only-mode", 's', true}},
     qmp_blockdev_change_medium},
    {"blockdev-open-tray",
     {{"device", 's', true}, {"id", 's', true}, {"force", 'b', true}},
     qmp_blockdev_open_tray},
    {"blockdev-close-tray", {{"device", 's', true}, {"id", 's', true}}, qmp_blockdev_close_tray},
    {"blockdev-remove-medium", {{"id", 's', false}}, qmp_blockdev_remove_medium},
    {"x-query-stats", {{0}}, cmd_query_stats},
    {"x-query-jit", {{0}}, cmd_query_jit},
    {"stop", {{0}}, cmd_stop},
    {"cont", {{0}}, cmd_cont},
    {"system_reset", {{0}}, cmd_system_reset},
    {"system_powerdown", {{0}}, cmd_system_powerdown},
    {"quit", {{0}}, cmd_quit},
    {"inject-nmi", {{0}}, cmd_inject_nmi},
    {"pmemsave", {{"val", 'i', false}, {"size", 'i', false}, {"filename", 's', false}}, cmd_pmemsave},
    {"memsave",
     {{"val", 'i', false}, {"size", 'i', false}, {"filename", 's', false}, {"cpu-index", 'i', true}},
     cmd_memsave},
    {"screendump",
     {{"filename", 's', false}, {"device", 's', true}, {"head", 'i', true}, {"format", 's', true}},
     qmp_screendump},
    {"query-mice", {{0}}, qmp_query_mice},
    {"send-key", {{"keys", '*', false}, {"hold-time", 'i', true}}, qmp_send_key},
    {"input-send-event",
     {{"device", 's', true}, {"head", 'i', true}, {"events", '*', false}},
     qmp_input_send_event},
    {"human-monitor-command", {{"command-line", 's', false}, {"cpu-index", 'i', true}}, cmd_human_monitor_command},
    {NULL, {{0}}, NULL},
};
