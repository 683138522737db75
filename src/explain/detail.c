/* The second reading: one block in full, in a form that is a fraction of the line's size.  An op that several passes
 * leave alone is written once; passes are lists of indices. */
#include "explain/fields.h"
#include "explain/page_data.h"

#include <stdlib.h>
#include <string.h>

static json_t *load_line(struct trace_file *file, uint64_t at)
{
    struct trace_line line;

    if (!at || !trace_file_read_at(file, at, &line))
        return NULL;
    return json_loadb(line.text, line.length, 0, NULL);
}

/* ---- guest code ---- */

static void write_insns(struct json_writer *writer, const json_t *insns)
{
    const json_t *insn;
    size_t index;

    json_write_open(writer, "insns", '[');
    json_array_foreach(insns, index, insn)
    {
        json_write_open(writer, NULL, '[');
        json_write_text(writer, NULL, field_text(insn, "eip"));
        json_write_text(writer, NULL, field_text(insn, "bytes"));
        json_write_text(writer, NULL, field_text(insn, "text"));
        json_write_text(writer, NULL, field_text(insn, "class"));
        json_write_text(writer, NULL, field_text(insn, "callout"));
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
}

/* ---- IR ---- */

/* Ops that have been written, found by their content. */
struct op_set {
    const json_t **ops;
    uint32_t *slots; /* of a hash table: index plus 1, 0: free */
    size_t count, capacity;
};

static uint64_t op_hash(const json_t *op)
{
    uint64_t hash = (uint64_t)field_index(op, "n") * 31 + (uint64_t)field_index(op, "insn") + 0xcbf29ce484222325ull;
    for (const char *at = field_text(op, "text"); *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3ull;
    return hash ^ hash >> 29;
}

static bool same_op(const json_t *a, const json_t *b)
{
    return field_index(a, "n") == field_index(b, "n") && field_index(a, "insn") == field_index(b, "insn") &&
           !strcmp(field_text(a, "text"), field_text(b, "text"));
}

/* The index of OP; *NEW if it was not there yet. There is room for all ops. */
static size_t op_set_add(struct op_set *set, const json_t *op, bool *new_op)
{
    size_t slot = op_hash(op) & (set->capacity - 1);

    while (set->slots[slot] && !same_op(set->ops[set->slots[slot] - 1], op))
        slot = (slot + 1) & (set->capacity - 1);
    *new_op = !set->slots[slot];
    if (*new_op) {
        set->ops[set->count++] = op;
        set->slots[slot] = (uint32_t)set->count;
    }
    return set->slots[slot] - 1;
}

static void write_passes(struct json_writer *writer, const json_t *ir, struct op_set *set)
{
    const json_t *pass, *op;
    size_t pass_index, index;
    bool new_op;

    json_write_open(writer, "passes", '[');
    json_array_foreach(ir, pass_index, pass)
    {
        json_write_open(writer, NULL, '{');
        json_write_text(writer, "name", field_text(pass, "pass"));
        json_write_open(writer, "ops", '[');
        json_array_foreach(json_object_get(pass, "ops"), index, op)
            json_write_number(writer, NULL, op_set_add(set, op, &new_op));
        json_write_close(writer, ']');
        json_write_close(writer, '}');
    }
    json_write_close(writer, ']');
    json_write_open(writer, "ops", '[');
    for (size_t i = 0; i < set->count; i++) {
        json_write_open(writer, NULL, '[');
        json_write_index(writer, NULL, field_index(set->ops[i], "n"));
        json_write_index(writer, NULL, field_index(set->ops[i], "insn"));
        json_write_text(writer, NULL, field_text(set->ops[i], "text"));
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
}

static bool write_ir(struct json_writer *writer, const json_t *ir)
{
    struct op_set set = {.capacity = 64};
    const json_t *pass;
    size_t index, ops = 0;

    json_array_foreach(ir, index, pass) ops += json_array_size(json_object_get(pass, "ops"));
    while (set.capacity < ops * 2)
        set.capacity *= 2;
    set.ops = malloc((ops + 1) * sizeof *set.ops);
    set.slots = calloc(set.capacity, sizeof *set.slots);
    if (set.ops && set.slots)
        write_passes(writer, ir, &set);
    free(set.ops);
    free(set.slots);
    return set.ops && set.slots;
}

/* ---- host code ---- */

static void write_host(struct json_writer *writer, const json_t *host)
{
    const json_t *insn;
    size_t index;

    json_write_open(writer, "host", '{');
    json_write_text(writer, "address", field_text(host, "address"));
    json_write_number(writer, "size", field_number(host, "size"));
    json_write_number(writer, "hot_end", field_number_or(host, "hot_end", FIELD_MAX));
    json_write_index(writer, "entry_eflags", field_index(host, "entry_eflags"));
    json_write_index(writer, "entry_home", field_index(host, "entry_home"));
    json_write_open(writer, "code", '[');
    json_array_foreach(json_object_get(host, "code"), index, insn)
    {
        json_write_open(writer, NULL, '[');
        json_write_number(writer, NULL, field_number(insn, "at"));
        json_write_text(writer, NULL, field_text(insn, "bytes"));
        json_write_text(writer, NULL, field_text(insn, "text"));
        json_write_index(writer, NULL, field_index(insn, "insn"));
        json_write_index(writer, NULL, field_index(insn, "n"));
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
    json_write_close(writer, '}');
}

/* ---- profile ---- */

/* An array of objects, less whatever the page does not know. */
static void write_counts(struct json_writer *writer, const json_t *profile, const char *name, const char *index_name,
                         const char *const counts[2])
{
    const json_t *items = json_object_get(profile, name), *item;
    size_t index;

    if (!json_array_size(items))
        return;
    json_write_open(writer, name, '[');
    json_array_foreach(items, index, item)
    {
        json_write_open(writer, NULL, '[');
        if (json_is_string(json_object_get(item, index_name)))
            json_write_text(writer, NULL, field_text(item, index_name));
        else
            json_write_index(writer, NULL, field_index(item, index_name));
        for (unsigned i = 0; i < 2 && counts[i]; i++)
            json_write_number(writer, NULL, field_number(item, counts[i]));
        json_write_close(writer, ']');
    }
    json_write_close(writer, ']');
}

static void write_profile(struct json_writer *writer, const json_t *profile)
{
    const json_t *taken = json_object_get(profile, "taken"), *count;
    size_t index;

    json_write_open(writer, "profile", '{');
    if (json_array_size(taken)) {
        json_write_open(writer, "taken", '[');
        json_array_foreach(taken, index, count)
            json_write_number(writer, NULL, json_integer_value(count) > 0 ? (uint64_t)json_integer_value(count) : 0);
        json_write_close(writer, ']');
    }
    write_counts(writer, profile, "targets", "eip", (const char *const[]){"count", NULL});
    write_counts(writer, profile, "slow", "insn", (const char *const[]){"reads", "writes"});
    write_counts(writer, profile, "calls", "insn", (const char *const[]){"count", NULL});
    json_write_bool(writer, "live", field_is_true(profile, "live"));
    json_write_close(writer, '}');
}

bool page_data_write_detail(struct json_writer *writer, const struct model_block *block, struct trace_file *file)
{
    json_t *line = load_line(file, block->line_at), *profile = load_line(file, block->profile_at);
    const json_t *mode = json_object_get(line, "mode");
    bool enough_memory = true;

    if (line) {
        json_write_open(writer, NULL, '{');
        json_write_number(writer, "key", block->key);
        json_write_bool(writer, "interpreted", block->flags & BLOCK_INTERPRETED);
        json_write_text(writer, "eip", field_text(line, "eip"));
        json_write_text(writer, "physical", field_text(line, "physical"));
        json_write_text(writer, "cs_base", field_text(line, "cs_base"));
        json_write_text(writer, "cr3", field_text(mode, "cr3"));
        json_write_text(writer, "word", field_text(mode, "word"));
        write_insns(writer, json_object_get(line, "insns"));
        if (json_array_size(json_object_get(line, "ir")))
            enough_memory = write_ir(writer, json_object_get(line, "ir"));
        if (json_is_object(json_object_get(line, "host")))
            write_host(writer, json_object_get(line, "host"));
        if (profile)
            write_profile(writer, profile);
        json_write_close(writer, '}');
    }
    json_decref(line);
    json_decref(profile);
    return enough_memory;
}
