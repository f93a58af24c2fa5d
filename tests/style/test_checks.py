#!/usr/bin/env python3
"""Each style check finds what it is there to find, in a small tree made for it."""

import contextlib
import io
import os
import shutil
import tempfile
import unittest

import check_authorizers
import check_banned
import check_config
import check_format
import check_headers
import check_layers
import report_lengths
import source


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="dmsd-style-")
        self.addCleanup(shutil.rmtree, self.root)

    def put(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def finds(self, check, *parts):
        """Exactly one problem, which has every part in its text."""
        problems = check.check(self.root)
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])

    def clean(self, check):
        self.assertEqual(check.check(self.root), [])


class Config(unittest.TestCase):
    FOUND = [("log.dirs", "./data", "where data is"), ("node.id", "1", "its number")]

    def test_dictionary_with_all_keys_is_clean(self):
        words = '# Keys\n"log.dirs="\n"node.id="\n"true"\n"="\n'
        self.assertEqual(check_config.check_dictionary(words, self.FOUND), [])

    def test_missing_and_foreign_words_are_found(self):
        problems = check_config.check_dictionary('"log.dirs="\n"log.dir="\n', self.FOUND)
        self.assertEqual(len(problems), 2, problems)
        self.assertIn("missing node.id=", problems[0])
        self.assertIn("no such key: log.dir", problems[1])

    def test_readme_with_another_default_is_found(self):
        rows = check_config.table(self.FOUND)
        readme = "\n".join([check_config.BEGIN, *rows, check_config.END])
        self.assertEqual(check_config.check_readme(readme, self.FOUND), [])
        readme = readme.replace("./data", "./other")
        self.assertEqual(len(check_config.check_readme(readme, self.FOUND)), 2)


class Layers(Tree):
    def setUp(self):
        super().setUp()
        for path in ("core/base/err.h", "core/net/loop.h", "logstore/log.h",
                     "core/partition/partition.h", "core/partition/waiters_priv.h",
                     "kafka-proto/reader.h", "rest-gw/http.h", "tests/sim/model.h"):
            self.put(path, "\n")

    def test_downward_include_is_clean(self):
        self.put("core/partition/fetch.c", '#include "core/partition/waiters_priv.h"\n'
                                           '#include "logstore/log.h"\n'
                                           '#include "core/base/err.h"\n')
        self.put("core/group/join.c", '#include "core/net/loop.h"\n')  # through partition
        self.put("tests/sim/main.c", '#include "rest-gw/http.h"\n#include "tests/sim/model.h"\n')
        self.put("core/base/x.c", '/* \n#include "logstore/log.h"\n*/\n')
        self.clean(check_layers)

    def test_upward_include_is_refused(self):
        self.put("logstore/log.c", '\n#include "core/partition/partition.h"\n')
        self.finds(check_layers, "logstore/log.c:2:", "logstore may not use core/partition")

    def test_one_door_may_not_see_the_other(self):
        self.put("rest-gw/route.c", '#include "kafka-proto/reader.h"\n')
        self.finds(check_layers, "rest-gw may not use kafka-proto")

    def test_only_back_ends_of_the_log_store_use_net(self):
        self.put("logstore/io_file.c", '#include "core/net/loop.h"\n')
        self.clean(check_layers)
        self.put("logstore/log.c", '#include "core/net/loop.h"\n')
        self.finds(check_layers, "logstore/log.c:1:")

    def test_private_header_is_refused_outside_its_library(self):
        self.put("core/group/join.c", '#include "core/partition/waiters_priv.h"\n')
        self.finds(check_layers, "private to core/partition")

    def test_private_header_is_refused_in_tests_of_other_libraries(self):
        self.put("tests/unit/group/test_x.c", '#include "core/partition/waiters_priv.h"\n')
        self.finds(check_layers, "private to core/partition")

    def test_private_header_is_for_the_unit_tests_of_its_library_and_for_fuzzing(self):
        self.put("tests/unit/partition/test_x.c", '#include "core/partition/waiters_priv.h"\n')
        self.put("tests/fuzz/fuzz_x.c", '#include "core/partition/waiters_priv.h"\n')
        self.clean(check_layers)

    def test_include_not_from_the_root_is_refused(self):
        self.put("core/base/err.c", '#include "err.h"\n')
        self.finds(check_layers, "not a path from the repository root")

    def test_library_may_not_include_from_tests(self):
        self.put("core/net/loop.c", '#include "tests/sim/model.h"\n')
        self.finds(check_layers, "in no library")

    def test_order_of_the_table_is_the_direction(self):
        for library, used in check_layers.MAY_USE.items():
            rows = list(check_layers.MAY_USE)
            for one in used:
                self.assertLessEqual(rows.index(one), rows.index(library), f"{library} -> {one}")


class Authorizers(Tree):
    def setUp(self):
        super().setUp()
        self.put("kafka-proto/handlers/table.c", "{KPROTO_KEY_fetch, 4, 4, 18, khandler_fetch},\n")
        self.put("kafka-proto/handlers/topic.c",
                 "bool khandler_may(void)\n{\n    return security_authorize(1);\n}\n")
        self.put("rest-gw/gateway.c", "restgw_route routes[] = {\n"
                 '    {RESTGW_HTTP_GET, "/a", restgw__a_get, NO_FLAGS, "a"},\n'
                 '    {RESTGW_HTTP_GET, "/b", restgw__b_get, RESTGW_ROUTE_PUBLIC, "b"},\n};\n')
        self.put("rest-gw/a.c", "static void ask(void)\n{\n    security_judge();\n}\n\n"
                 "void restgw__a_get(void)\n{\n    ask();\n}\n")

    def test_asking_through_others_is_fine(self):
        self.put("kafka-proto/handlers/fetch.c",
                 "void khandler_fetch(void)\n{\n    khandler_may();\n}\n")
        self.clean(check_authorizers)

    def test_handler_that_does_not_ask_is_refused(self):
        self.put("kafka-proto/handlers/fetch.c",
                 "static void ask(void)\n{\n    security_judge();\n}\n\n"
                 "void khandler_fetch(void)\n{\n    answer();\n}\n")
        self.finds(check_authorizers, "khandler_fetch")


class Banned(Tree):
    def test_call_is_refused_with_its_replacement(self):
        self.put("core/net/x.c", "void f(char *t)\n{\n    sprintf(t, s);\n}\n")
        self.finds(check_banned, "core/net/x.c:3:", "sprintf", "snprintf")

    def test_comments_strings_and_longer_names_are_no_calls(self):
        self.put("core/net/x.c", '/* strcpy(a, b) */\nchar *t = "atoi(x)"; // rand()\n'
                                 "int f = my_atoi(x) + base_free(y) + operand(z);\n")
        self.put("core/queue/x.c", "void f(void)\n{\n    io->read(x);\n    io.close(y);\n}\n")
        self.clean(check_banned)

    def test_allocation_is_refused_outside_alloc(self):
        self.put("core/base/alloc.c", "void *f(void)\n{\n    return malloc(1);\n}\n")
        self.put("tests/unit/base/test_x.c", "void f(void *p)\n{\n    free(p);\n}\n")
        self.clean(check_banned)
        self.put("core/base/map.c", "void f(void *p)\n{\n    free (p);\n}\n")
        self.finds(check_banned, "core/base/map.c:3:", "free()", "base_free")

    def test_file_calls_are_refused_outside_the_back_ends(self):
        for path in ("core/net/conn.c", "logstore/io_file.c", "core/main/main.c"):
            self.put(path, "void f(int fd)\n{\n    (void)close(fd);\n}\n")
        self.clean(check_banned)
        self.put("logstore/log.c", "void f(int fd)\n{\n    (void)fsync(fd);\n}\n")
        self.finds(check_banned, "logstore/log.c:3:", "fsync")

    def test_clock_is_refused_outside_clock(self):
        self.put("core/base/clock.c", "long f(void)\n{\n    return time(NULL);\n}\n")
        self.clean(check_banned)
        self.put("core/group/x.c", "long f(void)\n{\n    return time(NULL);\n}\n")
        self.finds(check_banned, "core/group/x.c:3:", "base_clock")

    def test_changes_of_files_go_through_the_calls_that_crash_tests_see(self):
        self.put("core/main/x.c", "void f(void)\n{\n    (void)unlinkat(1, path, 0);\n}\n")
        self.clean(check_banned)
        self.put("core/main/x.c", "void f(void)\n{\n    (void)unlink(path);\n}\n")
        self.finds(check_banned, "core/main/x.c:3:", "unlink()", "unlinkat")

    def test_tests_are_not_exempt_from_what_is_banned_everywhere(self):
        self.put("tests/unit/base/test_x.c", "int x = atoi(y);\n")
        self.finds(check_banned, "atoi")


class Headers(Tree):
    GOOD = "/* What. */\n#ifndef KPROTO_READER_H\n#define KPROTO_READER_H\n\n#endif\n"

    def setUp(self):
        super().setUp()
        self.put("kafka-proto/reader.h", self.GOOD)
        self.put("kafka-proto/README.md", "# kafka-proto\n")

    def test_good_header_is_clean(self):
        self.clean(check_headers)

    def test_guard_of_another_name_is_refused(self):
        self.put("kafka-proto/writer.h", self.GOOD)
        self.finds(check_headers, "KPROTO_READER_H", "wanted KPROTO_WRITER_H")

    def test_missing_guard_is_refused(self):
        self.put("kafka-proto/writer.h", "int x;\n")
        self.finds(check_headers, "no include guard", "KPROTO_WRITER_H")

    def test_code_before_the_guard_is_refused(self):
        self.put("kafka-proto/reader.h", "#include <stdint.h>\n" + self.GOOD)
        self.finds(check_headers, "no include guard")

    def test_code_behind_the_guard_is_refused(self):
        self.put("kafka-proto/reader.h", self.GOOD + "int x;\n")
        self.finds(check_headers, "#endif")

    def test_missing_readme_is_refused(self):
        self.put("logstore/log.c", "int x;\n")
        self.finds(check_headers, "logstore/README.md", "missing")

    def test_long_readme_is_refused(self):
        self.put("kafka-proto/README.md", "line\n" * (check_headers.README_LINES_MAX + 1))
        self.finds(check_headers, "61 lines")

    def test_long_line_is_refused(self):
        self.put("kafka-proto/x.c", "x" * 100 + "\n" + "x" * 101 + "\n")
        self.finds(check_headers, "kafka-proto/x.c:2:", "101 columns")


@unittest.skipIf(shutil.which("clang-format") is None, "clang-format is not installed")
class Format(Tree):
    def setUp(self):
        super().setUp()
        self.put(".clang-format", "BasedOnStyle: LLVM\nIndentWidth: 4\n")

    def test_formatted_file_is_clean(self):
        self.put("core/base/x.c", "int x;\n")
        self.clean(check_format)

    def test_badly_spaced_file_is_refused(self):
        self.put("core/base/x.c", "int   x ;\n")
        self.assertTrue(check_format.check(self.root))


class Lengths(Tree):
    def test_function_lengths_are_counted(self):
        code = "int a;\n\nstatic int f(int x,\n             int y)\n{\n    return 1;\n}\n"
        self.assertEqual(list(report_lengths.functions(code)), [("f", 5, 3)])

    def test_report_runs_on_a_long_function(self):
        self.put("core/base/x.c", "int f(void)\n{\n" + "    g();\n" * 70 + "}\n")
        out = io.StringIO()
        argv = report_lengths.sys.argv
        report_lengths.sys.argv = ["report_lengths.py", self.root]
        self.addCleanup(setattr, report_lengths.sys, "argv", argv)
        with contextlib.redirect_stdout(out):
            report_lengths.main()
        self.assertIn("core/base/x.c:2 f", out.getvalue())


class Strip(unittest.TestCase):
    def test_lines_and_columns_stay(self):
        text = 'a /* x\n y */ b "q(\\"" c // d\n\'"\' e\n'
        code = source.strip(text)
        self.assertEqual(len(code), len(text))
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertEqual([word for word in code.split() if word.isalpha()], ["a", "b", "c", "e"])

    def test_status_tells_problems_apart(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(source.report("x", []), 0)
            self.assertEqual(source.report("x", ["bad"]), 1)


if __name__ == "__main__":
    unittest.main()
