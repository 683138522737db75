/* The target description: which registers there are, in the order in which gdb numbers them ("Debugging with GDB",
 * appendix G). Feature and register names of the first two are as its section "i386 Features" prescribes.
 *
 * It names no architecture: then `set architecture i8086` means what it says, for 16-bit code, and the registers stay
 * the same. With one gdb would go on disassembling for the one named here. Without a setting gdb takes i386. */
#include "monitor/gdbstub_internal.h"

/* clang-format off */
#define REGISTER(name, type)   "<reg name=\"" name "\" bitsize=\"32\" type=\"" type "\"/>"
#define INTEGER(name)          REGISTER(name, "int32")
#define SYSTEM(name)           "<reg name=\"" name "\" bitsize=\"32\" type=\"uint32\" group=\"system\"/>"
#define X87(name)              "<reg name=\"" name "\" bitsize=\"80\" type=\"i387_ext\"/>"
#define X87_CONTROL(name)      "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define XMM(name)              "<reg name=\"" name "\" bitsize=\"128\" type=\"vec128\"/>"
#define FLAG(name, bit)        "<field name=\"" name "\" start=\"" bit "\" end=\"" bit "\"/>"
#define VECTOR(id, type, n)    "<vector id=\"" id "\" type=\"" type "\" count=\"" n "\"/>"
#define FIELD(name, type)      "<field name=\"" name "\" type=\"" type "\"/>"

const char gdb_target_xml[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
    "<target version=\"1.0\">"

    "<feature name=\"org.gnu.gdb.i386.core\">"
    "<flags id=\"i386_eflags\" size=\"4\">"
    FLAG("CF", "0") FLAG("", "1") FLAG("PF", "2") FLAG("AF", "4") FLAG("ZF", "6") FLAG("SF", "7") FLAG("TF", "8")
    FLAG("IF", "9") FLAG("DF", "10") FLAG("OF", "11") FLAG("NT", "14") FLAG("RF", "16") FLAG("VM", "17")
    FLAG("AC", "18") FLAG("VIF", "19") FLAG("VIP", "20") FLAG("ID", "21")
    "</flags>"
    INTEGER("eax") INTEGER("ecx") INTEGER("edx") INTEGER("ebx")
    REGISTER("esp", "data_ptr") REGISTER("ebp", "data_ptr") INTEGER("esi") INTEGER("edi")
    REGISTER("eip", "code_ptr") REGISTER("eflags", "i386_eflags")
    INTEGER("cs") INTEGER("ss") INTEGER("ds") INTEGER("es") INTEGER("fs") INTEGER("gs")
    X87("st0") X87("st1") X87("st2") X87("st3") X87("st4") X87("st5") X87("st6") X87("st7")
    X87_CONTROL("fctrl") X87_CONTROL("fstat") X87_CONTROL("ftag") X87_CONTROL("fiseg")
    X87_CONTROL("fioff") X87_CONTROL("foseg") X87_CONTROL("fooff") X87_CONTROL("fop")
    "</feature>"

    "<feature name=\"org.gnu.gdb.i386.sse\">"
    VECTOR("v4f", "ieee_single", "4") VECTOR("v2d", "ieee_double", "2") VECTOR("v16i8", "int8", "16")
    VECTOR("v8i16", "int16", "8") VECTOR("v4i32", "int32", "4") VECTOR("v2i64", "int64", "2")
    "<union id=\"vec128\">"
    FIELD("v4_float", "v4f") FIELD("v2_double", "v2d") FIELD("v16_int8", "v16i8") FIELD("v8_int16", "v8i16")
    FIELD("v4_int32", "v4i32") FIELD("v2_int64", "v2i64") FIELD("uint128", "uint128")
    "</union>"
    "<flags id=\"i386_mxcsr\" size=\"4\">"
    FLAG("IE", "0") FLAG("DE", "1") FLAG("ZE", "2") FLAG("OE", "3") FLAG("UE", "4") FLAG("PE", "5") FLAG("DAZ", "6")
    FLAG("IM", "7") FLAG("DM", "8") FLAG("ZM", "9") FLAG("OM", "10") FLAG("UM", "11") FLAG("PM", "12") FLAG("FZ", "15")
    "</flags>"
    XMM("xmm0") XMM("xmm1") XMM("xmm2") XMM("xmm3") XMM("xmm4") XMM("xmm5") XMM("xmm6") XMM("xmm7")
    "<reg name=\"mxcsr\" bitsize=\"32\" type=\"i386_mxcsr\" group=\"vector\"/>"
    "</feature>"

    "<feature name=\"org.dragoman.i386.system\">"
    SYSTEM("cr0") SYSTEM("cr2") SYSTEM("cr3") SYSTEM("cr4")
    "<reg name=\"efer\" bitsize=\"64\" type=\"uint64\" group=\"system\"/>"
    SYSTEM("cs_base") SYSTEM("ss_base") SYSTEM("ds_base") SYSTEM("es_base") SYSTEM("fs_base") SYSTEM("gs_base")
    "<reg name=\"lip\" bitsize=\"32\" type=\"code_ptr\" group=\"system\"/>" /* where the next instruction is: linear */
    "</feature>"

    "</target>";
/* clang-format on */
