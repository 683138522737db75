/* The first reading: from the lines to the model. */
#include "explain/fields.h"
#include "explain/model.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMA       "dragoman-trace"
#define VERSION      1
#define HEADER_LIMIT (1u << 20)

static bool page_of(const json_t *line, uint32_t *page)
{
    uint64_t physical;
    if (!field_hex(line, "physical", &physical))
        return false;
    *page = (uint32_t)(physical >> 12);
    return true;
}

static void note_address(struct model_block *block, const json_t *line)
{
    uint64_t linear;

    if (!(block->flags & BLOCK_INTERPRETED) && field_hex(line, "linear", &linear)) {
        block->linear = (uint32_t)linear;
        block->flags |= BLOCK_HAS_ADDRESS;
    }
}

static void note_mode(struct model_block *block, const json_t *line)
{
    const json_t *mode = json_object_get(line, "mode");

    block->bits = field_number(mode, "bits") == 16 ? 16 : 32;
    block->cpl = field_number(mode, "cpl") & 3;
    block->flags &= ~(BLOCK_V86 | BLOCK_PAGING);
    block->flags |= (field_is_true(mode, "v86") ? BLOCK_V86 : 0) | (field_is_true(mode, "paging") ? BLOCK_PAGING : 0);
}

static void note_insns(struct model_block *block, const json_t *line)
{
    const json_t *insns = json_object_get(line, "insns"), *insn;
    size_t index;

    block->insns = (uint32_t)json_array_size(insns);
    block->guest_bytes = block->critical = block->callouts = 0;
    json_array_foreach(insns, index, insn)
    {
        block->guest_bytes += (uint32_t)strlen(field_text(insn, "bytes")) / 2;
        block->critical += !strcmp(field_text(insn, "class"), "critical");
        block->callouts += *field_text(insn, "callout") != 0;
    }
}

static void scan_block(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    uint64_t linear = field_hex_or(line, "linear", UINT64_MAX);
    struct model_block *block = linear > UINT32_MAX ? NULL : model_block_of(model, linear, true);

    model->interpreted_lines++;
    if (!block)
        return;
    if (!block->line_at)
        block->made = t;
    block->line_at = at;
    page_of(line, &block->physical_page);
    note_mode(block, line);
    note_insns(block, line);
}

static void scan_translation(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    const json_t *ir = json_object_get(line, "ir"), *host = json_object_get(line, "host");
    struct model_block *block = model_block_of(model, field_number(line, "id"), false);

    model->translation_lines++;
    timeline_count(&model->timeline, &model->series_translation, t);
    if (!block)
        return;
    block->line_at = at;
    block->made = t;
    block->executed_before = field_number(line, "executions");
    block->time_ns = field_number(line, "time_ns");
    if (!strcmp(field_text(line, "reason"), "forced"))
        block->flags |= BLOCK_FORCED;
    note_address(block, line);
    page_of(line, &block->physical_page);
    note_mode(block, line);
    note_insns(block, line);
    block->ops_lifted = (uint32_t)json_array_size(json_object_get(json_array_get(ir, 0), "ops"));
    block->ops_final =
        json_array_size(ir)
            ? (uint32_t)json_array_size(json_object_get(json_array_get(ir, json_array_size(ir) - 1), "ops"))
            : 0;
    block->host_bytes = (uint32_t)field_number(host, "size");
    block->host_insns = (uint32_t)json_array_size(json_object_get(host, "code"));
    model->guest_insns += block->insns;
    model->guest_bytes += block->guest_bytes;
    model->ops_lifted += block->ops_lifted;
    model->ops_final += block->ops_final;
    model->host_insns += block->host_insns;
    model->host_bytes += block->host_bytes;
    model->time_ns += block->time_ns;
    model->critical_insns += block->critical;
    model->callout_insns += block->callouts;
}

static void scan_chain(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    struct model_block *block = model_block_of(model, field_number(line, "from"), false);
    uint64_t slot = field_number(line, "slot");

    model->links++;
    timeline_count(&model->timeline, &model->series_link, t);
    if (!block)
        return;
    block->links++;
    if (slot < 2)
        block->link[slot] = field_number(line, "to") + 1;
}

/* The link stays in the model: the page draws where control went, not where it could go at the end. */
static void scan_unchain(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    struct model_block *block = model_block_of(model, field_number(line, "from"), false);

    model->unlinks++;
    timeline_count(&model->timeline, &model->series_unlink, t);
    if (block)
        block->unlinks++;
}

static void scan_invalidate(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    uint64_t key = field_number(line, "id");
    enum death_cause cause = death_cause_of(field_text(line, "cause"));
    struct model_block *block = model_block_of(model, key, false);
    struct death death = {.t = t, .key = key, .cause = (uint8_t)cause, .length = field_number(line, "length")};

    model->deaths[cause]++;
    timeline_count(&model->timeline, &model->series_death[cause], t);
    death.has_physical = field_hex(line, "physical", &death.physical);
    if (death.has_physical)
        model_count_page(model, death.physical >> 12);
    if (block) {
        block->cause = (uint8_t)cause;
        block->died = t;
        death.linear = block->linear;
        death.has_linear = block->flags & BLOCK_HAS_ADDRESS;
    }
    if (model->death_count < MODEL_MAX_DEATHS)
        model->death_list[model->death_count++] = death;
}

static void scan_tier(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    const char *why = field_text(line, "why");

    *(!strcmp(why, "hot")       ? &model->tiers.hot
      : !strcmp(why, "churn")   ? &model->tiers.churn
      : !strcmp(why, "refused") ? &model->tiers.refused
                                : &model->tiers.other) += 1;
    if (!strcmp(why, "refused") || !json_object_get(line, "id"))
        return; /* there is no translation */
    struct model_block *block = model_block_of(model, field_number(line, "id"), false);
    if (block)
        note_address(block, line);
}

static void scan_exec(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    bool interpreted = !strcmp(field_text(line, "engine"), "interpreter");
    uint64_t key = interpreted ? field_hex_or(line, "linear", UINT64_MAX) : field_number_or(line, "id", UINT64_MAX);
    struct model_block *block;

    model->any_exec = true;
    *(interpreted ? &model->exec_interpreted : &model->exec_translated) += 1;
    if (key > FIELD_MAX || (interpreted && key > UINT32_MAX) || !(block = model_block_of(model, key, interpreted)))
        return;
    note_address(block, line);
    if (!(block->flags & BLOCK_HAS_PROFILE))
        block->executions++;
}

static void scan_profile(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    struct model_block *block = model_block_of(model, field_number(line, "id"), false);

    model->any_profile = true;
    if (!block)
        return;
    block->profile_at = at;
    block->executions = field_number(line, "executions");
    block->host_us = field_number(line, "host_us");
    block->flags |= BLOCK_HAS_PROFILE;
    if (json_is_false(json_object_get(line, "exact"))) {
        block->flags &= ~BLOCK_EXACT;
        model->all_exact = false;
    } else {
        block->flags |= BLOCK_EXACT;
    }
    if (block->host_us)
        model->any_host_us = true;
}

static void scan_int(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    const char *name = field_text(line, "kind");
    uint64_t vector = field_number_or(line, "vector", UINT64_MAX);
    unsigned kind = 0;

    while (kind < INTERRUPT_KINDS && strcmp(name, interrupt_kinds[kind]))
        kind++;
    if (kind == INTERRUPT_KINDS || vector > 255)
        return;
    struct interrupt_count *count = &model->interrupts[kind][vector];
    if (!count->count++)
        count->first = t;
    count->last = t;
    count->cpl[field_number(line, "cpl") & 3]++;
    count->eip = field_hex_or(line, "eip", 0);
    count->has_address = field_hex(line, "address", &count->address);
    timeline_count(&model->timeline, &count->series, t);
    timeline_count(&model->timeline, &model->series_int[kind], t);
}

static void scan_mmu(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    const char *name = field_text(line, "event");

    for (unsigned event = 0; event < MMU_EVENTS; event++) {
        if (!strcmp(name, mmu_events[event])) {
            model->mmu[event]++;
            timeline_count(&model->timeline, &model->series_mmu[event], t);
        }
    }
}

/* When the array is full, every second sample goes and only every second one is taken from then on. */
static void scan_occupancy(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    struct occupancy sample = {.t = t,
                               .used = field_number(line, "used"),
                               .size = field_number(line, "size"),
                               .translations = field_number(line, "translations"),
                               .dead = field_number(line, "dead"),
                               .instructions = field_number(line, "instructions"),
                               .interpreted = field_number(line, "interpreted")};

    model->occupancy_last = sample;
    if (model->occupancy_seen++ % model->occupancy_stride)
        return;
    if (model->occupancy_count == OCCUPANCY_LIMIT) {
        for (size_t i = 0; i < OCCUPANCY_LIMIT / 2; i++)
            model->occupancy[i] = model->occupancy[2 * i];
        model->occupancy_count = OCCUPANCY_LIMIT / 2;
        model->occupancy_stride *= 2;
    }
    model->occupancy[model->occupancy_count++] = sample;
}

static void scan_end(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    const json_t *seconds = json_object_get(line, "seconds");

    model->ended = true;
    model->end_t = t;
    model->suppressed = field_number(line, "suppressed");
    if (json_is_number(seconds) && json_number_value(seconds) >= 0 && json_number_value(seconds) < 1e9)
        model->seconds_ms = (uint64_t)(json_number_value(seconds) * 1000);
}

static void scan_header(struct model *model, const json_t *line, uint64_t at, uint64_t t)
{
    /* A second one would be of another run; ids would mean something else. model_read() has taken the first. */
}

static const struct line_type {
    const char *name;
    void (*scan)(struct model *model, const json_t *line, uint64_t at, uint64_t t);
} line_types[] = {
    {"exec", scan_exec},
    {"translation", scan_translation},
    {"profile", scan_profile},
    {"int", scan_int},
    {"mmu", scan_mmu},
    {"chain", scan_chain},
    {"unchain", scan_unchain},
    {"invalidate", scan_invalidate},
    {"tier", scan_tier},
    {"block", scan_block},
    {"occupancy", scan_occupancy},
    {"end", scan_end},
    {"header", scan_header},
};

static void count_unknown(struct model *model, const char *name)
{
    struct unknown_type *type = model->unknown;
    size_t length = strnlen(name, sizeof type->name - 1);

    while (length && length < strlen(name) && ((unsigned char)name[length] & 0xc0) == 0x80)
        length--; /* not in the middle of a character */
    while (type < model->unknown + model->unknown_count &&
           (strlen(type->name) != length || memcmp(type->name, name, length)))
        type++;
    if (type == model->unknown + model->unknown_count) {
        if (model->unknown_count == MODEL_MAX_UNKNOWN)
            return;
        memcpy(type->name, name, length);
        model->unknown_count++;
    }
    type->count++;
}

static void scan_line(struct model *model, const json_t *line, uint64_t at)
{
    const char *type = field_text(line, "type");
    uint64_t t = field_number(line, "t");

    for (size_t i = 0; i < sizeof line_types / sizeof line_types[0]; i++) {
        if (!strcmp(type, line_types[i].name)) {
            line_types[i].scan(model, line, at, t);
            return;
        }
    }
    count_unknown(model, type);
}

static bool read_header(struct model *model, struct trace_file *file, struct error *err)
{
    struct trace_line line;
    const json_t *version;
    const char *schema;

    if (!trace_file_next(file, &line)) {
        if (file->read_error)
            return error_set(err, "cannot read '%s': %s", file->path, strerror(file->read_error));
        return error_set(err, "'%s' is empty", file->path);
    }
    model->header = line.length <= HEADER_LIMIT ? json_loadb(line.text, line.length, 0, NULL) : NULL;
    schema = field_text(model->header, "schema");
    if (strcmp(field_text(model->header, "type"), "header") || strcmp(schema, SCHEMA))
        return error_set(err,
                         "'%s' is not a trace of Dragoman's as JSON lines: its first line is no header of the schema "
                         "\"" SCHEMA "\" (-d LIST -D FILE -dformat json writes traces)",
                         file->path);
    version = json_object_get(model->header, "version");
    if (!json_is_integer(version))
        return error_set(err, "'%s' does not say which version of the trace format it has", file->path);
    if (json_integer_value(version) != VERSION)
        return error_set(err,
                         "'%s' has version %" JSON_INTEGER_FORMAT " of the trace format, this program reads version %d",
                         file->path, json_integer_value(version), VERSION);
    model->lines = 1;
    return true;
}

bool model_read(struct model *model, struct trace_file *file, struct error *err)
{
    struct trace_line line;

    memset(model, 0, sizeof *model);
    model->occupancy_stride = 1;
    model->all_exact = true;
    model->death_list = malloc(MODEL_MAX_DEATHS * sizeof *model->death_list);
    if (!model->death_list)
        return error_set(err, "out of memory");
    if (!read_header(model, file, err)) {
        model_finish(model);
        return false;
    }
    while (trace_file_next(file, &line)) {
        json_t *object = json_loadb(line.text, line.length, 0, NULL);

        model->lines++;
        if (json_is_object(object)) {
            scan_line(model, object, line.at);
        } else if (line.complete && line.length + line.too_long) {
            if (!model->damaged++)
                model->first_damaged = model->lines;
        } else if (!line.complete) {
            model->cut_off = true;
        }
        json_decref(object);
        model->bytes = line.at + line.length;
    }
    if (file->read_error) {
        error_set(err, "cannot read '%s': %s", file->path, strerror(file->read_error));
        model_finish(model);
        return false;
    }
    if (!model->ended)
        model->cut_off = true;
    return true;
}
