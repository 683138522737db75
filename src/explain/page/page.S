/* The parts of the page, as they are in the source tree; page.c puts them together. */
        .section .rodata

.macro  part name, file
        .globl  explain_\name
        .globl  explain_\name\()_end
explain_\name:
        .incbin "\file"
explain_\name\()_end:
        .byte   0
.endm

        part    page_html, "explain/page/page.html"
        part    base_css, "explain/page/base.css"
        part    views_css, "explain/page/views.css"
        part    data_js, "explain/page/data.js"
        part    dom_js, "explain/page/dom.js"
        part    list_js, "explain/page/list.js"
        part    diff_js, "explain/page/diff.js"
        part    block_js, "explain/page/block.js"
        part    code_js, "explain/page/code.js"
        part    layout_js, "explain/page/layout.js"
        part    graph_js, "explain/page/graph.js"
        part    chart_js, "explain/page/chart.js"
        part    timeline_js, "explain/page/timeline.js"
        part    events_js, "explain/page/events.js"
        part    main_js, "explain/page/main.js"

        .section .note.GNU-stack, "", @progbits
