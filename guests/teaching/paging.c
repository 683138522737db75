/* Page tables (SDM vol. 3, 4.3): 32-bit paging, 4 KiB pages.
 *
 *   linear address   31      22 21      12 11       0
 *                   | directory |  table  |  offset  |
 *
 * The first 4 MiB are mapped to themselves in every address space: the kernel, for ring 0 only, and in
 * it the pages with the tasks' code, which ring 3 may read and execute. */
#include "kernel.h"

enum entry { PRESENT = 1, WRITABLE = 2, USER = 4 };
enum { ENTRIES = 1024, POOL_PAGES = 16 };

typedef uint32_t table[ENTRIES] __attribute__((aligned(PAGE)));
static table kernel_directory, kernel_table;
static uint8_t pool[POOL_PAGES][PAGE] __attribute__((aligned(PAGE)));
static unsigned pool_used;

/* Pages are handed out and never taken back: nothing here lives shorter than the kernel. */
static void *take_page(void)
{
    return pool_used < POOL_PAGES ? pool[pool_used++] : NULL;
}

void paging_init(void)
{
    uint32_t first = (uint32_t)user_begin / PAGE, end = (uint32_t)user_end / PAGE;
    for (uint32_t page = 0; page < ENTRIES; page++) {
        bool user = page >= first && page < end;
        kernel_table[page] = page * PAGE | PRESENT | (user ? USER : WRITABLE);
    }
    kernel_directory[0] = (uint32_t)kernel_table | PRESENT | WRITABLE | USER;
    paging_use((uint32_t)kernel_directory);
    uint32_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    cr0 |= 1u << 31 | 1u << 16; /* PG; WP: the kernel, too, respects read-only pages */
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

void paging_use(uint32_t cr3)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

uint32_t paging_create_space(void)
{
    uint32_t *directory = take_page(), *page_table = take_page();
    uint8_t *data = take_page(), *stack = take_page();
    directory[0] = kernel_directory[0];
    directory[TASK_DATA >> 22] = (uint32_t)page_table | PRESENT | WRITABLE | USER;
    page_table[0] = (uint32_t)data | PRESENT | WRITABLE | USER;
    page_table[1] = (uint32_t)stack | PRESENT | WRITABLE | USER;
    return (uint32_t)directory;
}

bool paging_user_may_read(uint32_t address, uint32_t length)
{
    uint32_t end = address + length;
    if (end < address)
        return false;
    return (address >= (uint32_t)user_begin && end <= (uint32_t)user_end) ||
           (address >= TASK_DATA && end <= TASK_STACK_TOP);
}
